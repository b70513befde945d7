// Finds this pack's nodes in the open workflow, subgraphs included, by the ids that a run gives them.
// @ts-check
import { rootGraph } from "./host.js";

export const PLAIN_TYPES = new Set(["PatchSageAttention", "PatchTorchCompile", "PatchFP16Accumulation"]);
// Before a plain type it makes the one that no other pack has.
export const OWN_PREFIX = "SageKit";
export const TYPES = new Set([...PLAIN_TYPES].flatMap((type) => [type, OWN_PREFIX + type]));

/** @param {any} node */
export function typeOf(node) {
  return node?.comfyClass ?? node?.type ?? "";
}

/** The nodes of a graph. @param {any} graph @returns {any[]} */
export function inside(graph) {
  return graph?.nodes ?? graph?._nodes ?? [];
}

/** All of this pack's nodes, each once. @returns {Set<any>} */
export function allNodes() {
  const found = new Set();
  const seen = new Set();
  const graphs = [rootGraph()];
  // A subgraph that is used twice is one graph.
  for (const graph of graphs) {
    if (!graph || seen.has(graph)) continue;
    seen.add(graph);
    for (const node of inside(graph)) {
      if (TYPES.has(typeOf(node))) found.add(node);
      if (node.subgraph) graphs.push(node.subgraph);
    }
  }
  return found;
}

/**
 * The nodes on the way to the one with an id as a run names it, which is the last: one for "12", two for "12:5",
 * node 5 in the subgraph that node 12 is; undefined from the first that is not there.
 * @param {string | number | null | undefined} id
 * @returns {any[]}
 */
export function wayTo(id) {
  let graph = rootGraph();
  return String(id ?? "").split(":").map((part) => {
    const node = inside(graph).find((/** @type {any} */ one) => String(one.id) === part);
    graph = node?.subgraph;
    return node;
  });
}

/**
 * The node that a message is for, if it is in this workflow.
 * @param {any} message
 */
export function addressee(message) {
  if (!message) return undefined;
  const here = rootGraph()?.id;
  if (message.workflow && here && message.workflow !== here) return undefined;
  const node = wayTo(message.node_id).at(-1);
  return TYPES.has(typeOf(node)) && typeOf(node) === message.node_type ? node : undefined;
}
