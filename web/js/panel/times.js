// The part about times: a chart for each size of call that was measured, the newest first.
// @ts-check
import { block, make } from "../dom.js";
import { state } from "../store.js";
import { say } from "../words.js";
import { timesChart } from "./charts.js";
import { empty, section } from "./section.js";

// Charts that are made at once; those of earlier sizes when they are asked for.
const AT_ONCE = 6;

export function times() {
  return section("times", write, () => JSON.stringify([state.status?.times ?? null, errors()]));
}

/** The largest error a run has seen of each kernel at each size of call. */
function errors() {
  /** @type {Record<string, Record<string, number>>} */
  const found = {};
  for (const run of state.report?.runs ?? []) {
    for (const { call, kernel, error } of run.classes ?? []) {
      if (!kernel || typeof error !== "number") continue;
      const of = (found[call] ??= {});
      of[kernel] = Math.max(of[kernel] ?? 0, error);
    }
  }
  return found;
}

/** @param {any} body */
function write(body) {
  if (!state.status) return body.replaceChildren(empty(say("loading")));
  const measured = Object.entries(state.status.times ?? {}).filter(([, sizes]) => sizes.length);
  if (!measured.length) return body.replaceChildren(empty(say("noTimes")));
  const seen = errors();
  body.replaceChildren(...measured.map(([gpu, sizes]) => ofGpu(gpu, sizes, seen)));
}

/** @param {string} gpu @param {any[]} sizes @param {Record<string, any>} seen */
function ofGpu(gpu, sizes, seen) {
  const newest = [...sizes].reverse();
  const chart = (/** @type {any} */ one) => timesChart(one, seen[one.call]);
  const earlier = newest.slice(AT_ONCE);
  return make(
    "div.gpu",
    {},
    make("h4", {}, gpu ? say("onGpu", { gpu }) : say("withoutGpu")),
    newest.slice(0, AT_ONCE).map(chart),
    earlier.length > 0 && block(`times ${gpu}`, say("earlierTimes", { count: earlier.length }), () => earlier.map(chart)),
  );
}
