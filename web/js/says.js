// What a node says now: its last message, or how far the kernel check is where that is of more use.
// @ts-check
import { PLAIN_TYPES, typeOf, OWN_PREFIX } from "./nodes.js";
import { state } from "./store.js";

const ATTENTION = [...PLAIN_TYPES].filter((type) => type.endsWith("SageAttention"));
const CHECKED = new Set(ATTENTION.flatMap((type) => [type, OWN_PREFIX + type]));
const ANY = "auto";

/**
 * @param {any} node
 * @param {any} message its last one, null without one
 * @returns {any} a message, null where there is nothing to say
 */
export function says(node, message) {
  const check = checking(node);
  if (!check || (message && isOfMoreInterest(message))) return message;
  return { ...check, busy: true, warnings: [], text: [check.line, message?.text].filter(Boolean).join("\n") };
}

/** A run that goes on or broke, and any warning but that a kernel did not run which is not checked yet. @param {any} message */
function isOfMoreInterest({ busy, state: ended, warnings = [] }) {
  const others = warnings.filter((/** @type {any} */ one) => one.code !== "named-kernel");
  return busy || ended === "failed" || ended === "cancelled" || others.length > 0;
}

/** How far the kernel check is, for a node that may run faster after it. @param {any} node */
function checking(node) {
  const check = state.status?.check;
  if (!check?.count || !CHECKED.has(typeOf(node))) return null;
  const kernel = (node.widgets ?? []).find((/** @type {any} */ one) => one.name === "kernel")?.value ?? ANY;
  return kernel === ANY || check.left.includes(kernel) ? check : null;
}
