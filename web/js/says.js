// What a node says now: its last message, or how far the kernel check is where that is of more use.
// @ts-check
import { PLAIN_TYPES, typeOf, OWN_PREFIX, wayTo } from "./nodes.js";
import { state } from "./store.js";
import { say } from "./words.js";

const ATTENTION = [...PLAIN_TYPES].filter((type) => type.endsWith("SageAttention"));
const CHECKED = new Set(ATTENTION.flatMap((type) => [type, OWN_PREFIX + type]));
const ANY = "auto";
/** LiteGraph's modes in which a node does not run. @type {Record<number, string>} */
const LEFT_OUT = { 2: "muted", 4: "bypassed" };

/**
 * @param {any} node
 * @param {any} message its last one, null without one
 * @returns {any} a message, null where there is nothing to say
 */
export function says(node, message) {
  const out = leftOut(node, message);
  if (out) return message && { line: say(out), leftOut: out };
  const check = checking(node);
  if (!check || (message && isOfMoreInterest(message))) return message;
  return { ...check, busy: true, warnings: [], text: [check.line, message?.text].filter(Boolean).join("\n") };
}

/**
 * Why a node does not run in the workflow as it is, alone or with the subgraph that it is in; "" where it does.
 * @param {any} node
 * @param {any} message its last one
 */
export function leftOut(node, message) {
  const way = message ? wayTo(message.node_id) : [];
  return [node, ...way].map((one) => LEFT_OUT[one?.mode]).find(Boolean) ?? "";
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
