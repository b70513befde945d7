// Brings what the nodes say to the nodes of the open workflow: as it comes, and after a workflow is opened.
// @ts-check
import { place } from "./badge.js";
import { api, onSetting, onShownGraph, setting } from "./host.js";
import { keepOnly, removeAll, rewrite, show } from "./node_line.js";
import { addressee, allNodes } from "./nodes.js";
import { hearCheck, load, state } from "./store.js";
import { tellWarnings } from "./warnings.js";
import { learn, onWords } from "./words.js";

export const NODE_LINE = "SageKit.NodeLine";
const KEPT = 500;

/** The last message of each node of each workflow. @type {Map<string, any>} */
const last = new Map();
/** @type {Set<string>} */
const fresh = new Set();
let waiting = false;

/** @param {any} message */
function keep(message) {
  if (!message || typeof message !== "object") return "";
  const key = `${message.workflow ?? ""} ${message.node_id} ${message.node_type}`;
  const before = last.get(key);
  if (before && (before.time ?? 0) > (message.time ?? 0)) return "";
  learn(message.said);
  last.delete(key);
  last.set(key, message);
  if (last.size > KEPT) last.delete(last.keys().next().value ?? "");
  return key;
}

/** A message of the server; what comes between two frames is shown once. @param {any} message */
export function receive(message) {
  const key = keep(message);
  if (!key) return;
  fresh.add(key);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const one of fresh) {
      const message = last.get(one);
      apply(message);
      const node = addressee(message);
      if (node) tellWarnings(node, message);
    }
    fresh.clear();
  });
}

/** @param {any} message */
function apply(message) {
  if (!setting(NODE_LINE, true)) return;
  try {
    const node = addressee(message);
    if (node) show(node, message);
  } catch (error) {
    console.warn("SageKit: a line could not be shown", error);
  }
}

/** Shows what is known on the nodes that are there. */
export function applyAll() {
  keepOnly(allNodes());
  for (const message of [...last.values()].sort((a, b) => (a.time ?? 0) - (b.time ?? 0))) apply(message);
  if (setting(NODE_LINE, true)) rewrite(allNodes());
}

/** Asks the server what its nodes said last; after a reload of the page nothing else knows. */
export async function recall() {
  await load("report");
  for (const message of state.report?.nodes ?? []) keep(message);
  applyAll();
}

/** How far the kernel check is. @param {any} check */
function hear(check) {
  hearCheck(check);
  if (setting(NODE_LINE, true)) rewrite(allNodes());
}

function afresh() {
  removeAll();
  applyAll();
}

export function listen() {
  api.addEventListener("sagekit.node", (/** @type {any} */ event) => receive(event.detail));
  api.addEventListener("sagekit.check", (/** @type {any} */ event) => hear(event.detail));
  // Some of them may be bypassed or collapsed now, or gone.
  api.addEventListener("graphChanged", () => {
    keepOnly(allNodes());
    rewrite();
  });
  onShownGraph(() => setTimeout(place, 200));
  api.addEventListener("reconnected", recall);
  onSetting(NODE_LINE, afresh);
  // The two ways of drawing lay a node out differently.
  onSetting("Comfy.VueNodes.Enabled", () => {
    removeAll();
    setTimeout(applyAll, 200);
  });
  onWords(() => rewrite());
}
