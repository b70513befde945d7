// A toast for what nodes warn of while they run: once for each warning of each node, with a button that opens it.
// @ts-check
import { isNew, showOnce } from "./notices.js";
import { openNode } from "./node_line.js";
import { say, told } from "./words.js";

// A notice of its own tells of it.
const TOLD_ELSEWHERE = new Set(["guard"]);

/** @param {any} node @param {any} message that has just come */
export function tellWarnings(node, message) {
  /** @type {any[]} */
  const warnings = message.warnings ?? [];
  const idOf = (/** @type {string} */ text) => `warning ${message.workflow ?? ""} ${message.node_id} ${text}`;
  const texts = warnings.filter((one) => !TOLD_ELSEWHERE.has(one.code)).map((one) => String(one.text));
  const fresh = [...new Set(texts)].filter((text) => isNew(idOf(text)));
  if (!fresh.length) return;
  const summary = say("noticeNode", { title: node.title ?? node.type });
  const detail = fresh.map(told).join("\n");
  showOnce(fresh.map(idOf), { severity: "warn", summary, detail }, () => openNode(node));
}
