// The part on top: what the last run gained, where its time went, and what would gain more.
// @ts-check
import { icon, make } from "../dom.js";
import { state } from "../store.js";
import { number, say, told } from "../words.js";
import { colour } from "./charts.js";
import { empty, section } from "./section.js";

// Two runs alike differ by as much.
const NO_GAIN = 0.01;

export function speed() {
  return section("speed", write, () => JSON.stringify(shown() ?? state.report === null));
}

/** The run that goes on, else the last that ended; of it what this part shows. */
function shown() {
  const { runs = [], running = [] } = state.report ?? {};
  const run = running.at(-1) ?? runs.at(-1);
  return run && { model: run.model, seconds: run.seconds, line: run.line, state: run.state, speed: run.speed };
}

/** @param {any} body */
function write(body) {
  if (!state.report) return body.replaceChildren(empty(say("loading")));
  const run = shown();
  if (!run) return body.replaceChildren(empty(say("speedNone")));
  const broken = run.state === "failed" || run.state === "cancelled";
  const { speed } = run;
  const parts = [make("p.speed", { role: "status" }, run.seconds === null && icon("spin spinner"), headline(run))];
  parts.push(make("p.quiet", {}, run.model));
  if (speed && !broken) parts.push(bars(speed), shares(speed), ...remarks(speed));
  body.replaceChildren(...parts.flat().filter(Boolean));
}

/** @param {any} run */
function headline({ seconds, line, state, speed }) {
  if (state === "failed" || state === "cancelled") return say("speedBroken", { line: told(line) });
  const gain = speed?.gain;
  if (typeof gain !== "number") return say("speedUnknown");
  if (Math.abs(gain - 1) < NO_GAIN) return say("speedNoGain");
  const values = { gain: number(gain, { maximumFractionDigits: 2 }), seconds: time(Math.abs(speed.saved)) };
  const text = say(speed.saved > 0 ? "speedSaved" : "speedLost", values);
  return seconds === null ? say("speedSoFar", { text }) : text;
}

/** @param {number} seconds */
function time(seconds) {
  return number(seconds, seconds < 10 ? { maximumFractionDigits: 2 } : { maximumFractionDigits: 1 });
}

/** @param {any} speed */
function bars({ seconds, without }) {
  if (typeof without !== "number") return null;
  const most = Math.max(seconds, without, 1e-9);
  const row = (/** @type {string} */ key, /** @type {number} */ value, /** @type {string} */ style) =>
    make(
      "div.bar-row",
      { role: "listitem", "data-bar": key },
      make("span.bar-name", {}, say(key)),
      make("span.track", { "aria-hidden": "true" }, make(`span.bar.${style}`, { style: { width: `${(100 * value) / most}%` } })),
      make("span.bar-text", {}, say("runSeconds", { seconds: time(value) })),
    );
  const rows = [row("speedThis", seconds, "colour-0"), row("speedWithout", without, "colour-own")];
  return make("div.bars", { role: "list" }, rows);
}

/** @param {any} part */
function partText(part) {
  if (part.kind === "other") return say("callOther");
  const values = { tokens: number(part.tokens), keys: number(part.keys) };
  return say(part.kind === "self" ? "callSelf" : "callCross", values);
}

/** One bar of where the time went; GPUs that work side by side may spend more than the run took. @param {any} speed */
function shares({ seconds, parts = [] }) {
  if (!parts.length) return null;
  const attention = parts.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.seconds, 0);
  const rest = Math.max(0, seconds - attention);
  const whole = attention + rest;
  const all = parts.map((/** @type {any} */ one) => ({
    style: colour(one.kernel),
    kernel: one.kernel,
    seconds: one.seconds,
    text: `${partText(one)}: ${one.kernel || say("ownAttention")}`,
  }));
  if (rest > 0) all.push({ style: "colour-rest", kernel: null, seconds: rest, text: say("speedRest") });
  const percent = (/** @type {number} */ value) => number(value / whole, { style: "percent", maximumFractionDigits: 0 });
  const texts = all.map((/** @type {any} */ one) => `${one.text}, ${percent(one.seconds)}`);
  return make(
    "figure.chart",
    {},
    make("figcaption", {}, say("speedShares")),
    make(
      "div.stack",
      { role: "img", "aria-label": texts.join("; ") },
      all.map((/** @type {any} */ one, /** @type {number} */ index) =>
        make(`span.part.${one.style}`, { title: texts[index], style: { width: `${(100 * one.seconds) / whole}%` } }),
      ),
    ),
    make(
      "ul.legend",
      {},
      all.map((/** @type {any} */ one, /** @type {number} */ index) =>
        make("li", {}, make(`span.swatch.${one.style}`, { "aria-hidden": "true" }), texts[index]),
      ),
    ),
  );
}

/** What the estimate leaves out, and the advice. @param {any} speed */
function remarks({ gain, measuring, timed_calls: timed, calls, advice }) {
  // A call on ComfyUI's own attention gains nothing, whatever it took.
  const partly = typeof gain === "number" && timed < calls;
  return [
    partly && make("p.quiet", {}, say("speedPartly", { timed: number(timed), calls: number(calls) })),
    measuring >= 0.1 && make("p.quiet", {}, say("speedMeasuring", { seconds: time(measuring) })),
    advice && make("p.advice", {}, icon("lightbulb"), make("span", {}, told(advice))),
  ];
}
