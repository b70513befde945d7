// Everything a node has to say, as the text of a tooltip.
// @ts-check
import { errorText, number, say, told } from "./words.js";

const CLASSES = 6;

/**
 * @param {any} message
 * @param {any} [run] the run that the message is about
 */
export function tooltip(message, run) {
  const english = message.text || message.line || "";
  const lines = [told(english)];
  for (const { text } of message.warnings ?? []) if (!english.includes(text)) lines.push(told(text));
  if (run) lines.push(...details(run, english));
  return lines.filter(Boolean).join("\n");
}

/** @param {any} run @param {string} said */
function details(run, said) {
  const lines = [];
  const saved = run.seconds_saved;
  if (saved && !said.includes("less")) lines.push(say("timeSaved", { seconds: number(saved) }));
  for (const one of (run.classes ?? []).slice(0, CLASSES)) {
    const kernel = one.kernel || `${say("ownAttention")} (${one.reason})`;
    const error = one.error === null || one.error === undefined ? [] : [say("errorValue", { error: errorText(one.error) })];
    const calls = say("reasonCalls", { call: one.call, kernel, calls: number(one.calls) });
    lines.push([calls, ...error].join(", "));
  }
  return lines;
}
