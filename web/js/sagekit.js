// Registers this pack with ComfyUI's page: settings, command, panel, and what the nodes say.
// @ts-check
import { PANEL, api, app, onSetting, openPanel, setting } from "./host.js";
import { applyAll, listen as listenToNodes, NODE_LINE, recall } from "./messages.js";
import { listen as listenToNotices, showNotices, TOASTS } from "./notices.js";
import { command as useOwnNodes, noticeStrays, opened, remember } from "./own_nodes.js";
import { reserve } from "./node_room.js";
import { hidePanel, showPanel } from "./panel/panel.js";
import { watch } from "./replaced_nodes.js";
import { load, state } from "./store.js";
import { watchTab } from "./tab_badge.js";
import { loadWords } from "./words.js";

// The address of the repository; without one the page "About" names no pack.
const HOME = "";
const COMMAND = "SageKit.OpenPanel";
const OWN_NODES = "SageKit.UseOwnNodes";

/**
 * The English names, for a language that has no table; the tables are in locales.
 * @type {any[]} the host's type knows its own ids only
 */
const SETTINGS = [
  {
    id: TOASTS,
    category: ["SageKit", "SageKit", "Toasts"],
    name: "Show notices",
    tooltip: "A notice appears once for each cause, for example when a kernel is kept out of a model.",
    type: "boolean",
    defaultValue: true,
  },
  {
    id: NODE_LINE,
    category: ["SageKit", "SageKit", "NodeLine"],
    name: "Show on the nodes what ran",
    tooltip:
      "A line on each SageKit node says which kernels ran, or why not. It is not saved with the workflow.",
    type: "boolean",
    defaultValue: true,
  },
];

function addStyle() {
  const href = new URL("./sagekit.css", import.meta.url).href;
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
}

async function askForNotices() {
  await load("status");
  showNotices();
  noticeStrays();
  // How far the kernel check is.
  applyAll();
}

app.registerExtension({
  name: "SageKit",
  settings: SETTINGS,
  commands: [
    { id: COMMAND, label: "Open the SageKit panel", icon: "pi pi-bolt", function: openPanel },
    { id: OWN_NODES, label: "Use SageKit's nodes in the open workflow", icon: "pi pi-replay", function: useOwnNodes },
  ],
  menuCommands: [{ path: ["Extensions", "SageKit"], commands: [COMMAND] }],
  // Read when the page About is opened, so the version is the server's own.
  get aboutPageBadges() {
    if (!HOME) return [];
    const version = state.status?.version;
    return [{ label: version ? `SageKit v${version}` : "SageKit", url: HOME, icon: "pi pi-github" }];
  },
  async setup() {
    addStyle();
    listenToNodes();
    listenToNotices();
    api.addEventListener("reconnected", askForNotices);
    onSetting(TOASTS, showNotices);
    app.extensionManager?.registerSidebarTab?.({
      id: PANEL,
      icon: "pi pi-bolt",
      title: "SageKit",
      tooltip: "SageKit",
      iconBadge: () => null,
      type: "custom",
      render: showPanel,
      destroy: hidePanel,
    });
    watchTab();
    // The page goes on starting meanwhile.
    loadWords().then(askForNotices);
    recall();
  },
  nodeCreated(/** @type {any} */ node) {
    watch(node);
    if (setting(NODE_LINE, true)) reserve(node);
  },
  beforeConfigureGraph: remember,
  afterConfigureGraph() {
    applyAll();
    opened();
  },
});
