// Height that a line takes on a node while it is shown, and which a saved workflow must not know of.
// @ts-check
import { drawnByVue } from "./host.js";

/** @typedef {{before: number, added: number | null}} Room the height without the line, and what it adds */

/** @type {WeakMap<any, Room>} */
const rooms = new WeakMap();
/** @type {WeakSet<any>} */
const watched = new WeakSet();

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
 */
export function take(node, element) {
  const room = rooms.get(node);
  if (!room) return;
  if (!drawnByVue()) {
    const height = node.computeSize?.()[1] ?? room.before;
    if (height > room.before) node.setSize?.([node.size[0], height]);
    room.added = node.size[1] - room.before;
    return;
  }
  const observer = new ResizeObserver(() => {
    if (!element.offsetHeight) return;
    observer.disconnect();
    // Vue has laid the node out by now; the host hears of it in the same frame and stores it in the next.
    setTimeout(() => {
      if (rooms.get(node) === room) room.added = Math.max(0, node.size[1] - room.before);
    }, 100);
  });
  observer.observe(element);
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
