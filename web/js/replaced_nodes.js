// What ComfyUI's page leaves to do when it puts a node of this pack in the place of another pack's.
// @ts-check
import { drawnByVue, rootGraph } from "./host.js";
import { translate } from "./foreign_values.js";
import { TYPES, typeOf } from "./nodes.js";
import { showNotice } from "./notices.js";
import { say, wordsThere } from "./words.js";

/** By which the page tells whose a node is, and where others find it. */
const OWNER = ["cnr_id", "aux_id", "ver"];

/**
 * Call when a node is made, before it is filled with values.
 * @param {any} node
 */
export function watch(node) {
  if (!TYPES.has(typeOf(node))) return;
  const made = { ...node.properties };
  // A node that is put into another's place is the only one that comes into a graph by neither of these.
  let known = false;
  after(node, "onAdded", () => (known = true));
  after(node, "onConfigure", () => {
    known = true;
    // It may have been saved by a version that took the other pack's values as they were.
    for (const widget of node.widgets ?? []) mend(widget);
  });
  for (const widget of node.widgets ?? []) after(widget, "callback", () => mend(widget));
  // It is in the other's place by then, with everything of it, and nobody has looked yet.
  queueMicrotask(() => {
    if (known || !node.graph) return;
    own(node, made);
    fit(node);
  });
}

/**
 * Has something done whenever an object's function has run.
 * @param {any} object
 * @param {string} name
 * @param {() => void} then
 */
function after(object, name, then) {
  const before = object[name];
  object[name] = function (/** @type {any[]} */ ...all) {
    const result = before?.apply(this, all);
    then();
    return result;
  };
}

/** @param {any} widget */
function mend(widget) {
  const other = translate(widget);
  if (!other) return;
  const id = `cuda-graphs ${other.value} ${rootGraph()?.id ?? ""}`;
  // The workflow that was open last is there before the words are.
  wordsThere.then(() => showNotice({ id, kind: "cuda-graphs", text: say("noCudaGraphs", other) }));
}

/** The other pack's name and version go. @param {any} node @param {Record<string, unknown>} made as it was made */
function own(node, made) {
  for (const name of OWNER) {
    if (name in made) node.properties[name] = made[name];
    else delete node.properties[name];
  }
}

/** The height of the other node is no measure for this one. @param {any} node */
function fit(node) {
  const [width, height] = node.computeSize?.() ?? node.size;
  // Vue makes a node as high as what is in it by itself, which may be less than the canvas would need.
  node.setSize?.([Math.max(width, node.size[0]), drawnByVue() ? 0 : height]);
}
