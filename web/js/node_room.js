// Height that a line takes on a node while it is shown, and which a saved workflow must not know of.
// @ts-check
import { drawnByVue } from "./host.js";
import { inside, TYPES, typeOf } from "./nodes.js";

// What a line and the gap before it take on the canvas.
const ROOM = 38;
// The height of a title, if the host does not tell it.
const TITLE = 30;

/** @typedef {{before: number, added: number | null}} Room the height without the line, and what it adds */

/** @type {WeakMap<any, Room>} */
const rooms = new WeakMap();
/** @type {WeakSet<any>} */
const watched = new WeakSet();
/** By how much a line would make a node higher, which then covers another. @type {WeakMap<any, number>} */
const refused = new WeakMap();

/** Call when a node is made: a new one is as high as it will be with a line. @param {any} node */
export function reserve(node) {
  // One that is opened gets the size that it was saved with.
  if (TYPES.has(typeOf(node))) node.setSize?.([node.size[0], node.size[1] + ROOM]);
}

/** Whether a line on a node would make it cover no other, as far as that is known. @param {any} node */
export function hasRoom(node) {
  const more = refused.get(node);
  return more === undefined || !covers(node, node.size[1], node.size[1] + more);
}

/** Whether there is another node below one, between two heights of it. @param {any} node @param {number} from @param {number} to */
function covers(node, from, to) {
  // @ts-ignore: a global of the host.
  const title = window.LiteGraph?.NODE_TITLE_HEIGHT ?? TITLE;
  const [left, top] = node.pos;
  const right = left + node.size[0];
  return inside(node.graph).some((/** @type {any} */ one) => {
    const height = one.flags?.collapsed ? 0 : one.size[1];
    const sideways = one.pos[0] < right && one.pos[0] + one.size[0] > left;
    return one !== node && sideways && one.pos[1] - title < top + to && one.pos[1] + height > top + from;
  });
}

/**
 * Call before a line is put on a node.
 * @param {any} node
 */
export function expect(node) {
  rooms.set(node, { before: node.size[1], added: null });
  watchSaving(node);
}

/**
 * Call after it: makes room on the canvas, where Vue makes it by itself.
 * @param {any} node
 * @param {HTMLElement} element the line
 * @param {() => void} refuse takes the line off again: it would make the node cover another
 */
export function take(node, element, refuse) {
  const room = rooms.get(node);
  if (!room) return;
  if (!drawnByVue()) {
    const height = node.computeSize?.()[1] ?? room.before;
    if (height > room.before) node.setSize?.([node.size[0], height]);
    added(node, room, node.size[1] - room.before, refuse);
    return;
  }
  const observer = new ResizeObserver(() => {
    if (!element.offsetHeight) return;
    observer.disconnect();
    // Vue has laid the node out by now; the host hears of it in the same frame and stores it in the next.
    setTimeout(() => {
      if (rooms.get(node) === room) added(node, room, Math.max(0, node.size[1] - room.before), refuse);
    }, 100);
  });
  observer.observe(element);
}

/** @param {any} node @param {Room} room @param {number} more @param {() => void} refuse */
function added(node, room, more, refuse) {
  room.added = more;
  if (more > 0 && covers(node, room.before, room.before + more)) {
    refused.set(node, more);
    refuse();
  } else {
    refused.delete(node);
  }
}

/**
 * Call after the line is off the node: gives back what it had added.
 * @param {any} node
 */
export function giveBack(node) {
  const height = heightToSave(node);
  rooms.delete(node);
  if (height !== node.size[1]) node.setSize?.([node.size[0], height]);
}

/** @param {any} node */
function heightToSave(node) {
  const room = rooms.get(node);
  if (!room) return node.size[1];
  return room.added === null ? room.before : node.size[1] - room.added;
}

/** @param {any} node */
function watchSaving(node) {
  if (watched.has(node)) return;
  watched.add(node);
  const before = node.onSerialize;
  node.onSerialize = function (/** @type {any} */ saved, /** @type {any[]} */ ...rest) {
    const result = before?.call(this, saved, ...rest);
    if (saved?.size && rooms.has(node)) saved.size = [saved.size[0], heightToSave(node)];
    return result;
  };
}
