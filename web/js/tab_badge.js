// The number at this pack's tab in the sidebar: how many things a user should look at; none where all is well.
// @ts-check
import { PANEL, sidebarTab } from "./host.js";
import { everything } from "./node_line.js";
import { onChange, state } from "./store.js";

// More than that is told as so many and more.
const MOST = 9;
let shown = "";

/** Warnings on nodes of the open workflow, each once, and packages that do not belong together. */
function count() {
  const warnings = everything().flatMap(({ now }) => (now.warnings ?? []).map((/** @type {any} */ one) => one.text));
  return new Set(warnings).size + (state.status?.mismatches ?? []).length;
}

export function watchTab() {
  onChange(() => {
    const number = count();
    const text = number > MOST ? `${MOST}+` : number ? String(number) : "";
    const tab = text === shown ? null : sidebarTab(PANEL);
    if (!tab) return;
    shown = text;
    // The host asks such a function once: another one is asked anew.
    tab.iconBadge = () => text || null;
  });
}
