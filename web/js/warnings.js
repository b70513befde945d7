// A toast for what nodes warn of while they run: once for each warning of each node, with a button that opens it.
// @ts-check
import { showOnce } from "./notices.js";
import { openNode } from "./node_line.js";
import { say, told } from "./words.js";

// A notice of its own tells of it.
const TOLD_ELSEWHERE = new Set(["guard"]);

/** @param {any} node @param {any} message that has just come */
export function tellWarnings(node, message) {
  const fresh = (message.warnings ?? []).filter((/** @type {any} */ one) => !TOLD_ELSEWHERE.has(one.code));
  for (const { text } of fresh) {
    const id = `warning ${message.workflow ?? ""} ${message.node_id} ${text}`;
    const summary = say("noticeNode", { title: node.title ?? node.type });
    showOnce(id, { severity: "warn", summary, detail: told(text) }, () => openNode(node));
  }
}
