// The part about the kernels: the verdict on each, with the check's own times.
// @ts-check
import { actionButton, block, icon, make } from "../dom.js";
import { act, state } from "../store.js";
import { errorText, locale, milliseconds, number, say, told } from "../words.js";
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
  return section("kernels", write, () => JSON.stringify([state.status?.verdicts ?? null, state.status?.kernels ?? null]));
}

/** @param {any} body */
function write(body) {
  const verdicts = Object.entries(state.status?.verdicts ?? {});
  if (!state.status) return body.replaceChildren(empty(say("loading")));
  if (!verdicts.length) return body.replaceChildren(empty(say("noVerdicts")));
  const again = () => actionButton(() => act("/sagekit/check"), say("checkAgain"), "replay", { title: say("checkAgainHint") });
  // It stays where it is, with the focus and what it said, while verdicts come in.
  const kept = body.querySelector(":scope > .sagekit-action[data-locale]");
  const action = kept?.dataset.locale === locale() ? kept : again();
  action.dataset.locale = locale();
  for (const one of [...body.children]) if (one !== action) one.remove();
  body.prepend(...verdicts.map(([gpu, found]) => ofGpu(gpu, found)));
  if (!action.isConnected) body.append(action);
}

/** @param {string} gpu @param {Record<string, any>} found */
function ofGpu(gpu, found) {
  /** @type {Record<string, any[]>} */
  const groups = { here: [], missing: [], elsewhere: [] };
  for (const [kernel, verdict] of Object.entries(found)) groups[groupOf(gpu, kernel, verdict)].push(row(gpu, kernel, verdict));
  const folded = (/** @type {string} */ key, /** @type {any[]} */ rows) =>
    rows.length > 0 && block(`${key} ${gpu}`, say(key, { count: rows.length }), () => rows, { "data-group": key });
  return make(
    "div.gpu",
    {},
    make("h4", {}, gpu ? say("onGpu", { gpu }) : say("withoutGpu")),
    groups.here,
    folded("kernelsMissing", groups.missing),
    folded("kernelsElsewhere", groups.elsewhere),
  );
}

/** Whether a kernel is of use here, could be installed, or has no code for this GPU. @param {string} gpu @param {string} kernel @param {any} verdict */
function groupOf(gpu, kernel, verdict) {
  if (verdict.state !== "refused") return "here";
  const { capability } = (state.status?.environment?.gpus ?? []).find((/** @type {any} */ one) => one.name === gpu) ?? {};
  const served = state.status?.kernels?.[kernel]?.capabilities;
  if (capability && served && !served.includes(capability)) return "elsewhere";
  return /(^|; )not-installed:/.test(verdict.detail) ? "missing" : "here";
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
