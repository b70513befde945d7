// Nodes that were saved as this pack's under an id that belongs to another pack here, and their way back.
// @ts-check
import { app, rootGraph, toast } from "./host.js";
import { OWN_PREFIX, PLAIN_TYPES } from "./nodes.js";
import { showNotice } from "./notices.js";
import { state } from "./store.js";
import { say } from "./words.js";

/** @typedef {{id: string, by: string, instead: string}} Taken */

const SEARCH_NAME = "Node name for S&R";
const LIFE = 5000;

/** The values with which nodes of the workflows opened so far were saved. @type {Map<string, any[]>} */
const saved = new Map();
/** The workflow that is being opened, as it was saved. @type {any} */
let opening = null;

/** @returns {Taken[]} */
export function taken() {
  return state.status?.taken ?? [];
}

/**
 * Every graph of a workflow, as it is saved: its own, and those of its subgraphs.
 * @param {any} workflow
 * @returns {any[]}
 */
function graphsOf(workflow) {
  const inner = workflow?.definitions?.subgraphs ?? [];
  return [workflow, ...inner.flatMap(graphsOf)];
}

/** @param {any} workflow @returns {{graph: any, node: any}[]} */
function nodesOf(workflow) {
  return graphsOf(workflow).flatMap((graph) => (graph?.nodes ?? []).map((/** @type {any} */ node) => ({ graph, node })));
}

/**
 * Where a node is, by the id of the workflow that is open: one that is saved without gets its own when it is opened.
 * @param {any} workflow
 * @param {any} graph
 * @param {any} node
 */
function keyOf(workflow, graph, node) {
  return [rootGraph()?.id, graph === workflow ? "" : graph.id, node.id].join(" ");
}

/** A node's definition as the server told it. @param {string} type */
function definition(type) {
  // @ts-ignore: a global of the host.
  const input = window.LiteGraph?.registered_node_types?.[type]?.nodeData?.input ?? {};
  return Object.entries({ ...input.required, ...input.optional });
}

/** The widgets of a node with their kinds. @param {string} type @returns {[string, any][]} */
function widgetsOf(type) {
  const kinds = /** @type {Record<string, string>} */ ({ INT: "number", FLOAT: "number", BOOLEAN: "boolean" });
  return definition(type)
    .filter(([, [kind]]) => Array.isArray(kind) || kind === "COMBO" || kind in kinds)
    .map(([name, [kind]]) => [name, kinds[kind] ?? "string"]);
}

/** Whether values may be those of a node's widgets, as far as they go. @param {any} values @param {string} type */
function fits(values, type) {
  const widgets = widgetsOf(type);
  if (!Array.isArray(values) || !values.length || values.length > widgets.length) return false;
  return values.every((value, index) => typeof value === widgets[index][1]);
}

/**
 * Whether a saved node is this pack's: the names of its widgets tell, which the page saves with the inputs, or
 * else its values.
 * @param {any} node
 */
function isOurs(node) {
  const own = OWN_PREFIX + node.type;
  const theirs = new Set(definition(node.type).map(([name]) => name));
  const ours = new Set(widgetsOf(own).map(([name]) => name));
  const inputs = node.inputs ?? [];
  if (inputs.some((/** @type {any} */ input) => ours.has(input.name) && !theirs.has(input.name))) return true;
  return !inputs.some((/** @type {any} */ input) => input.widget) && fits(node.widgets_values, own);
}

/**
 * Keeps a workflow as it was saved: the other pack's class makes its own of the values.
 * @param {any} workflow
 */
export function remember(workflow) {
  opening = structuredClone(workflow ?? null);
}

/** Call when the workflow is open: keeps what is to be kept of it, and says what it needs. */
export function opened() {
  for (const { graph, node } of nodesOf(opening)) {
    if (!PLAIN_TYPES.has(node.type) || !Array.isArray(node.widgets_values)) continue;
    const key = keyOf(opening, graph, node);
    const own = OWN_PREFIX + node.type;
    // Saved once more since, it may have what the other class left of them.
    const whole = fits(node.widgets_values, own) && node.widgets_values.length === widgetsOf(own).length;
    if (whole || !saved.has(key)) saved.set(key, node.widgets_values);
  }
  opening = null;
  noticeStrays();
}

/** The nodes of a workflow that were saved as ours and are another pack's here. @param {any} workflow */
function strays(workflow) {
  const ids = new Set(taken().map(({ id }) => id));
  return ids.size ? nodesOf(workflow).filter(({ node }) => ids.has(node.type) && isOurs(node)) : [];
}

/** How many nodes of the open workflow were saved as ours and are another pack's here. */
export function strayCount() {
  if (!taken().length) return 0;
  const workflow = rootGraph()?.serialize();
  return workflow ? strays(workflow).length : 0;
}

/** Puts this pack's nodes in their places, as one step that can be undone. @returns {Promise<number>} of how many */
export async function useOwn() {
  const workflow = rootGraph()?.serialize();
  const found = workflow ? strays(workflow) : [];
  if (!found.length) return 0;
  for (const { graph, node } of found) mend(workflow, graph, node);
  await open(workflow);
  return found.length;
}

/** Opens a workflow in place of the one that is open, as its undo does. @param {any} workflow */
async function open(workflow) {
  /** @type {any} */
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  if (!tracker?.redo || !tracker.redoQueue) return app.loadGraphData(workflow);
  (tracker.captureCanvasState ?? tracker.checkState)?.call(tracker);
  tracker.redoQueue.splice(0, Infinity, workflow);
  await tracker.redo();
}

/**
 * Makes a saved node ours, with its links and its values.
 * @param {any} workflow
 * @param {any} graph the one that it is in
 * @param {any} node
 */
function mend(workflow, graph, node) {
  const own = OWN_PREFIX + node.type;
  const values = [saved.get(keyOf(workflow, graph, node)), node.widgets_values];
  node.widgets_values = values.find((one) => fits(one, own)) ?? [];
  node.type = own;
  if (node.properties?.[SEARCH_NAME]) node.properties[SEARCH_NAME] = own;
  const order = definition(own).map(([name]) => name);
  const isKept = (/** @type {any} */ input) => order.includes(input.name) || Number.isInteger(input.link);
  const inputs = (node.inputs ?? []).filter(isKept);
  const place = (/** @type {any} */ input) => (order.includes(input.name) ? order.indexOf(input.name) : order.length);
  node.inputs = inputs.sort((/** @type {any} */ a, /** @type {any} */ b) => place(a) - place(b));
  node.inputs.forEach((/** @type {any} */ input, /** @type {number} */ slot) => aim(graph, input.link, slot));
  node.outputs = (node.outputs ?? []).filter((/** @type {any} */ one, /** @type {number} */ index) => !index || one.links?.length);
}

/** Leads a link to a slot of the node that it leads to. @param {any} graph @param {any} id @param {number} slot */
function aim(graph, id, slot) {
  if (id === null || id === undefined) return;
  const link = (graph.links ?? []).find((/** @type {any} */ one) => (Array.isArray(one) ? one[0] : one?.id) === id);
  if (Array.isArray(link)) link[4] = slot;
  else if (link) link.target_slot = slot;
}

/** Says of the workflow that was opened what it needs. */
export function noticeStrays() {
  const count = strayCount();
  if (!count) return;
  const by = [...new Set(taken().map((one) => one.by))].join(", ");
  showNotice({ id: `ids ${rootGraph()?.id ?? ""}`, kind: "ids-taken", text: say("strays", { count, by }) });
}

/** What the command does. */
export async function command() {
  const count = await useOwn();
  toast({
    severity: count ? "success" : "info",
    summary: "SageKit",
    detail: say(count ? "straysMended" : "noStrays", { count }),
    life: LIFE,
  });
}
