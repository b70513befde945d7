// The part about the kernels: the verdict on each, with the check's own times.
// @ts-check
import { block, icon, make } from "../dom.js";
import { state } from "../store.js";
import { errorText, milliseconds, number, say, told } from "../words.js";
import { empty, facts, section } from "./section.js";

/** @type {Record<string, [string, string]>} */
const STATES = {
  ok: ["stateOk", "check-circle"],
  wrong: ["stateWrong", "times-circle"],
  refused: ["stateRefused", "minus-circle"],
  crashed: ["stateCrashed", "times-circle"],
  "timed-out": ["stateTimedOut", "clock"],
  "not-importable": ["stateNotImportable", "minus-circle"],
};

export function kernels() {
  return section("kernels", write, () => JSON.stringify(state.status?.verdicts ?? null));
}

/** @param {any} body */
function write(body) {
  const verdicts = Object.entries(state.status?.verdicts ?? {});
  if (!state.status) return body.replaceChildren(empty(say("loading")));
  if (!verdicts.length) return body.replaceChildren(empty(say("noVerdicts")));
  body.replaceChildren(...verdicts.map(([gpu, found]) => ofGpu(gpu, found)));
}

/** @param {string} gpu @param {Record<string, any>} found */
function ofGpu(gpu, found) {
  const rows = Object.entries(found).map(([kernel, verdict]) => row(gpu, kernel, verdict));
  return make("div.gpu", {}, make("h4", {}, gpu ? say("onGpu", { gpu }) : say("withoutGpu")), rows);
}

/** @param {any} verdict */
export function stateText(verdict) {
  const [key] = STATES[verdict.state] ?? [];
  return key ? say(key) : String(verdict.state);
}

/** @param {string} gpu @param {string} kernel @param {any} verdict */
function row(gpu, kernel, verdict) {
  const [, sign] = STATES[verdict.state] ?? ["", "question-circle"];
  const error = typeof verdict.error === "number" ? say("errorValue", { error: errorText(verdict.error) }) : "";
  const summary = [
    icon(sign),
    make("span.kernel-name", {}, kernel),
    make("span.state", {}, [stateText(verdict), error].filter(Boolean).join(", ")),
    verdict.detail && make("div.detail", {}, told(verdict.detail)),
  ];
  return block(`kernel ${gpu} ${kernel}`, summary, () => more(verdict), { "data-kernel": kernel, "data-state": verdict.state });
}

/** @param {any} verdict */
function more(verdict) {
  const checked = say("checkedIn", { cases: number(verdict.cases ?? 0), seconds: number(verdict.seconds ?? 0) });
  const times = Object.entries(verdict.times ?? {}).map(
    ([call, time]) => /** @type {[string, string]} */ ([call, say("milliseconds", { value: milliseconds(time) })]),
  );
  return [make("p", {}, checked), times.length > 0 && facts(times)];
}
