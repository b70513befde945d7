// The line on a node: what ran there, its progress while it is busy, and a mark where something is to be read.
// @ts-check
import { drop, put, standIn } from "./badge.js";
import { app, drawnByVue } from "./host.js";
import { make, icon } from "./dom.js";
import { expect, giveBack, hasRoom, take } from "./node_room.js";
import { wayTo } from "./nodes.js";
import { revealNode, revealSection } from "./panel/reveal.js";
import { leftOut, says } from "./says.js";
import { load, runOf, tell } from "./store.js";
import { tooltip } from "./tooltip.js";
import { say, told } from "./words.js";

const NAME = "sagekit_line";
const HEIGHT = 34;

/**
 * @typedef {{widget: any, element: HTMLElement, message: any, leftOut: string}} Line with the node's last message, and
 *   why it does not run
 */

/** @type {Map<any, Line>} */
const lines = new Map();

/**
 * Shows a message on a node; a later one takes its place.
 * @param {any} node
 * @param {any} message
 */
export function show(node, message) {
  const before = lines.get(node)?.message;
  if (before && (before.time ?? 0) > (message.time ?? 0)) return;
  update(node, message);
}

/** Writes the lines of nodes anew, those that are there if none are named. @param {Iterable<any>} [nodes] */
export function rewrite(nodes = [...lines.keys()]) {
  for (const node of nodes) update(node);
}

/**
 * @param {any} node
 * @param {any} [message] its last one
 */
function update(node, message = lines.get(node)?.message ?? null) {
  if (typeof node?.addDOMWidget !== "function") return;
  const now = says(node, message);
  if (!now) return remove(node);
  const line = lines.get(node) ?? add(node);
  line.message = message;
  line.leftOut = now.leftOut ?? "";
  if (!line.widget && hasRoom(node)) attach(node, line);
  standIn(node, !line.widget);
  write(line.element, now);
  const way = message ? wayTo(message.node_id) : [];
  put(node, { outer: way.slice(0, -1).filter(Boolean), now, open: () => openNode(node) });
  tell();
}

/** @param {any} node */
export function remove(node) {
  const line = lines.get(node);
  if (!line) return;
  lines.delete(node);
  drop(node);
  tell();
  detach(node, line);
}

/** Takes a line off its node. @param {any} node @param {Line} line */
function detach(node, line) {
  const { widget } = line;
  line.widget = null;
  if (widget && node.widgets?.includes(widget)) {
    if (node.removeWidget) {
      node.removeWidget(widget);
    } else {
      widget.onRemove?.();
      node.widgets.splice(node.widgets.indexOf(widget), 1);
    }
  }
  line.element.remove();
  giveBack(node);
  redraw(node);
}

/** Takes every line off its node. */
export function removeAll() {
  for (const node of [...lines.keys()]) remove(node);
}

/** Forgets the nodes that are no longer in the workflow. @param {Set<any>} present */
export function keepOnly(present) {
  for (const node of [...lines.keys()]) {
    if (present.has(node)) continue;
    lines.delete(node);
    drop(node);
    tell();
  }
}

/** Every node that has said something, with that and with what it says now, in the order of their ids. */
export function everything() {
  return [...lines]
    .filter(([, { message }]) => message)
    .map(([node, { message }]) => ({ node, message, now: says(node, message) }))
    .sort((a, b) => String(a.message.node_id).localeCompare(String(b.message.node_id), "en", { numeric: true }));
}

/** Opens the panel at what a node says. @param {any} node */
export function openNode(node) {
  const { message } = lines.get(node) ?? {};
  if (message) revealNode(String(message.node_id));
  else revealSection("machine");
}

/** @param {any} node */
function add(node) {
  const element = make("button.line", { type: "button", onclick: () => openNode(node) });
  /** @type {Line} */
  const line = { widget: null, element, message: null, leftOut: "" };
  lines.set(node, line);
  const details = () => readDetails(node);
  element.addEventListener("pointerenter", details);
  element.addEventListener("focus", details);
  element.addEventListener("wheel", zoom, { passive: false });
  return line;
}

/** Puts a line on its node, where that does not make it cover another. @param {any} node @param {Line} line */
function attach(node, line) {
  expect(node);
  const widget = node.addDOMWidget(NAME, "sagekit-line", line.element, {
    serialize: false,
    hideOnZoom: true,
    margin: 4,
    getValue: () => "",
    setValue: () => {},
    // A change of its mode is told to nobody at once, but drawn.
    onDraw: () => lines.has(node) && leftOut(node, line.message) !== line.leftOut && update(node),
  });
  // Both are asked: one for the workflow that is saved, one for the prompt that is queued.
  widget.serialize = false;
  // A height of its own: without it the line takes part in sharing out the room of a node made larger.
  widget.computeSize = (/** @type {number} */ width) => [width ?? 0, HEIGHT];
  widget.computeLayoutSize = undefined;
  line.widget = widget;
  take(node, line.element, () => {
    if (lines.get(node) !== line || line.widget !== widget) return;
    detach(node, line);
    standIn(node, true);
  });
  redraw(node);
}

/** The canvas goes on zooming with the pointer on the line. @param {WheelEvent} event */
function zoom(event) {
  if (drawnByVue() || !app.canvas?.processMouseWheel) return;
  event.preventDefault();
  app.canvas.processMouseWheel(event);
}

/** @param {HTMLElement} element @param {any} message what the node says now */
function write(element, message) {
  const warnings = message.warnings ?? [];
  const parts = [];
  if (message.busy) parts.push(icon("spin spinner"));
  if (warnings.length) parts.push(icon("exclamation-triangle"));
  const words = make("span.line-words");
  words.textContent = told(message.line ?? "");
  const whole = make("div", {}, parts, words);
  // A spinner turns on.
  if (element.innerHTML !== whole.innerHTML) element.replaceChildren(...whole.childNodes);
  element.classList.toggle("sagekit-busy", Boolean(message.busy));
  element.classList.toggle("sagekit-left-out", Boolean(message.leftOut));
  element.classList.toggle("sagekit-warned", warnings.length > 0);
  element.title = tooltip(message, runOf(message.run));
  const said = warnings.map((/** @type {any} */ one) => say("warning", { text: told(one.text) }));
  element.setAttribute("aria-label", [told(message.line ?? ""), ...said, say("openPanel")].join("; "));
}

/** The run's own reasons, errors and time are asked for when somebody looks. @param {any} node */
async function readDetails(node) {
  const { run, busy } = lines.get(node)?.message ?? {};
  if (busy || run === null || run === undefined || runOf(run)) return;
  await load("report");
  if (lines.has(node)) update(node);
}

/** @param {any} node */
function redraw(node) {
  (node.graph ?? app.canvas)?.setDirtyCanvas?.(true, true);
}
