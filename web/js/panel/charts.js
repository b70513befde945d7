// Bars: times of the kernels beside ComfyUI's own, and the calls of a run by kernel.
// @ts-check
import { make } from "../dom.js";
import { errorText, milliseconds, number, say } from "../words.js";

const COLOURS = 10;
/** @type {Map<string, number>} */
const colours = new Map();

/** A class with the kernel's colour: the same in every chart of the page. @param {string} kernel */
export function colour(kernel) {
  if (!kernel) return "colour-own";
  let index = colours.get(kernel);
  if (index === undefined) colours.set(kernel, (index = colours.size % COLOURS));
  return `colour-${index}`;
}

/**
 * @typedef {{call: string, host: number | null, kernels: Record<string, number>}} Times
 * @typedef {Record<string, number>} Errors relative errors by kernel
 */

/**
 * One size of call: a bar for each kernel, the fastest first.
 * @param {Times} times
 * @param {Errors} [errors]
 */
export function timesChart(times, errors = {}) {
  const known = Object.entries(times.kernels ?? {}).filter(([, time]) => typeof time === "number");
  /** @type {[string, number][]} */
  const bars = known;
  if (typeof times.host === "number") bars.push(["", times.host]);
  bars.sort((a, b) => a[1] - b[1]);
  const most = Math.max(...bars.map(([, time]) => time), 0);
  const rows = bars.map(([kernel, time]) => timeBar(kernel, time, most, times.host, errors[kernel]));
  return make(
    "figure.chart",
    { "aria-label": say("chartLabel", { call: times.call }) },
    make("figcaption", {}, times.call),
    make("div.bars", { role: "list" }, rows),
  );
}

/**
 * @param {string} kernel
 * @param {number} time
 * @param {number} most
 * @param {number | null} host
 * @param {number} [error]
 */
function timeBar(kernel, time, most, host, error) {
  const width = most > 0 ? Math.max(0.5, (100 * time) / most) : 0;
  const texts = [say("milliseconds", { value: milliseconds(time) })];
  if (kernel && host) texts.push(say("timesFaster", { factor: number(host / time, { maximumFractionDigits: 2 }) }));
  if (error !== undefined) texts.push(say("errorValue", { error: errorText(error) }));
  return make(
    "div.bar-row",
    { role: "listitem", "data-kernel": kernel },
    make("span.bar-name", {}, kernel || say("ownAttention")),
    make(
      "span.track",
      { "aria-hidden": "true" },
      make(`span.bar.${colour(kernel)}`, { style: { width: `${width}%` } }),
    ),
    make("span.bar-text", {}, texts.join(", ")),
  );
}

/** Calls of a run on each kernel and on ComfyUI's own. @param {any} run @returns {[string, number][]} */
export function callsOf(run) {
  /** @type {[string, number][]} */
  const calls = Object.entries(run.kernels ?? {});
  /** @type {number[]} */
  const own = Object.values(run.fallbacks ?? {});
  if (own.length) calls.push(["", own.reduce((sum, one) => sum + one, 0)]);
  return calls.filter(([, count]) => count > 0);
}

/** One bar of a run's calls, with what each part of it is. @param {any} run */
export function callsChart(run) {
  const calls = callsOf(run);
  if (!calls.length) return make("p.empty", {}, say("noCalls"));
  const all = calls.reduce((sum, [, count]) => sum + count, 0);
  const texts = calls.map(([kernel, count]) => `${kernel || say("ownAttention")} ${number(count)}`);
  const parts = calls.map(([kernel, count], index) =>
    make(`span.part.${colour(kernel)}`, {
      title: texts[index],
      "data-kernel": kernel,
      style: { width: `${(100 * count) / all}%` },
    }),
  );
  const legend = calls.map(([kernel], index) =>
    make("li", {}, make(`span.swatch.${colour(kernel)}`, { "aria-hidden": "true" }), texts[index]),
  );
  return [
    make("div.stack", { role: "img", "aria-label": say("runCalls", { list: texts.join(", ") }) }, parts),
    make("ul.legend", { "aria-hidden": "true" }, legend),
  ];
}
