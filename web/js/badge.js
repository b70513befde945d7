// A word at the title of a node, where its line is not to be seen: collapsed, far out, on the subgraph that holds it.
// @ts-check
import { app, drawnByVue, shownGraph } from "./host.js";
import { make } from "./dom.js";
import { say, told } from "./words.js";

const SIGN = "⚠";
const HEIGHT = 20;
const PADDING = 6;
const FONT = 12;
// The height of a title, if the host does not tell it, and the room above it.
const TITLE = 30;
const GAP = 2;
// Letters of a line that its badge has room for.
const MOST = 32;

/**
 * @typedef {{outer: any[], now: any, open: () => void}} Told the subgraphs that a node is in, what it says, and what
 *   opens the panel there
 * @typedef {Told & {node: any}} Entry
 */

/** @type {Map<any, Entry>} */
const entries = new Map();
/** @type {WeakMap<any, any>} by node, ours and subgraphs */
const badges = new WeakMap();
/** @type {WeakSet<any>} */
const withoutLine = new WeakSet();

/**
 * Keeps what a node says, for its badge and for those of the subgraphs that it is in.
 * @param {any} node
 * @param {Told} what
 */
export function put(node, what) {
  entries.set(node, { node, ...what });
  for (const one of [node, ...what.outer]) badgeOf(one);
  place();
}

/** @param {any} node */
export function drop(node) {
  entries.delete(node);
  place();
}

/** Whether a node's line has no room, so that its badge stands for it. @param {any} node @param {boolean} now */
export function standIn(node, now) {
  if (now === withoutLine.has(node)) return;
  if (now) withoutLine.add(node);
  else withoutLine.delete(node);
  place();
}

/** What is told at a node's title; of several nodes in a subgraph what is of most interest. @param {any} node @returns {Entry | undefined} */
function tellerAt(node) {
  const found = entries.get(node) ? [entries.get(node)] : [...entries.values()].filter((one) => one.outer.includes(node));
  return found.filter((one) => textOf(one)).sort((a, b) => rank(b) - rank(a))[0];
}

/** @param {any} entry */
function rank({ now }) {
  return now.busy ? 2 : now.warnings?.length ? 1 : 0;
}

/** @param {any} entry */
function textOf({ node, now }) {
  if (now.leftOut) return "";
  const words = now.badge ? told(now.badge) : withoutLine.has(node) ? short(told(now.line)) : "";
  return [now.warnings?.length && SIGN, words].filter(Boolean).join(" ");
}

/** @param {string} text */
function short(text) {
  return text.length > MOST ? `${text.slice(0, MOST).trimEnd()}…` : text;
}

/** @param {any} node */
function isNeeded(node) {
  return !entries.has(node) || node.flags?.collapsed || withoutLine.has(node);
}

/** The badge of a node, which the canvas draws. @param {any} node */
function badgeOf(node) {
  let badge = badges.get(node);
  if (badge) return badge;
  badge = { node, boundingRect: [0, 0, 0, 0], height: HEIGHT, words: "", getWidth, draw, onClick: undefined };
  badges.set(node, badge);
  // Called as often as the node is drawn or clicked at.
  node.badges?.push(() => fresh(badge));
  const before = node.onDrawForeground;
  node.onDrawForeground = function (/** @type {any} */ context, /** @type {any} */ canvas, /** @type {any[]} */ ...rest) {
    const result = before?.call(this, context, canvas, ...rest);
    if (canvas?.low_quality) drawFarOut(badge, context, canvas.ds?.scale ?? 1);
    return result;
  };
  return badge;
}

/** @param {any} badge */
function fresh(badge) {
  const entry = tellerAt(badge.node);
  const far = Boolean(app.canvas?.low_quality);
  badge.words = entry && (far || isNeeded(badge.node)) ? textOf(entry) : "";
  badge.onClick = badge.words ? entry?.open : undefined;
  if (!badge.words) badge.boundingRect = [0, 0, 0, 0];
  return badge;
}

/** @this {any} @param {CanvasRenderingContext2D} context */
function getWidth(context) {
  return this.words ? widthOf(context, this.words, FONT) + 2 * PADDING : 0;
}

/** @this {any} @param {CanvasRenderingContext2D} context @param {number} x @param {number} y */
function draw(context, x, y) {
  if (this.words) this.boundingRect = pill(context, this.words, x, y, 1);
}

/** Where the canvas draws no badges, as large as they are elsewhere. @param {any} badge @param {any} context @param {number} scale */
function drawFarOut(badge, context, scale) {
  const { words } = fresh(badge);
  if (!words) return;
  // @ts-ignore: a global of the host.
  const title = window.LiteGraph?.NODE_TITLE_HEIGHT ?? TITLE;
  const times = 1 / scale;
  badge.boundingRect = pill(context, words, 0, -title - GAP - HEIGHT * times, times);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} words
 * @param {number} font
 */
function widthOf(context, words, font) {
  const before = context.font;
  context.font = `${font}px sans-serif`;
  const { width } = context.measureText(words);
  context.font = before;
  return width;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} words
 * @param {number} x
 * @param {number} y
 * @param {number} times so many times its size
 * @returns {number[]} where it is
 */
function pill(context, words, x, y, times) {
  const width = widthOf(context, words, FONT * times) + 2 * PADDING * times;
  const height = HEIGHT * times;
  context.save();
  context.globalAlpha = 1;
  context.fillStyle = words.startsWith(SIGN) ? "#5c3d00" : "#1f3a2a";
  context.beginPath();
  if (context.roundRect) context.roundRect(x, y, width, height, 5 * times);
  else context.rect(x, y, width, height);
  context.fill();
  context.fillStyle = "#fff";
  context.font = `${FONT * times}px sans-serif`;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillText(words, x + PADDING * times, y + height / 2 + times);
  context.restore();
  return [x, y, width, height];
}

/** Puts badges at the titles of nodes that Vue draws, which has no place for them there. */
export function place() {
  const graph = shownGraph();
  for (const one of document.querySelectorAll(".sagekit-badge")) if (!drawnByVue()) one.remove();
  if (!drawnByVue()) return app.canvas?.setDirty?.(true, true);
  const nodes = new Set([...entries.values()].flatMap(({ node, outer }) => [node, ...outer]));
  for (const node of nodes) if (node.graph === graph) placeAt(node);
}

/** @param {any} node */
function placeAt(node) {
  const element = document.querySelector(`[data-node-id="${CSS.escape(String(node.id))}"]`);
  if (!element) return;
  const entry = tellerAt(node);
  const words = entry && isNeeded(node) ? textOf(entry) : "";
  let badge = element.querySelector(":scope > .sagekit-badge");
  if (!words || !entry) return badge?.remove();
  if (!badge) {
    badge = make("button.badge", { type: "button", onclick: () => tellerAt(node)?.open(), onpointerdown: stop });
    element.append(/** @type {any} */ (badge));
  }
  if (!badge) return;
  if (badge.textContent !== words) badge.textContent = words;
  badge.classList.toggle("sagekit-warned", words.startsWith(SIGN));
  badge.setAttribute("aria-label", [entry.node.title, told(entry.now.line), say("openPanel")].join("; "));
}

/** The node is not to be dragged by it. @param {Event} event */
function stop(event) {
  event.stopPropagation();
}
