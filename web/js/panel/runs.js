// The part about the last runs, newest first; a run that has not changed keeps its elements.
// @ts-check
import { actionButton, block, icon, make } from "../dom.js";
import { act, state } from "../store.js";
import { clock, locale, number, say, told } from "../words.js";
import { callsChart } from "./charts.js";
import { classesTable } from "./classes.js";
import { empty, section } from "./section.js";

// Cards made anew in one frame; the older runs follow in the next ones.
const AT_ONCE = 5;

/** @type {Map<string, {signature: string, element: any}>} */
const cards = new Map();

export function runs() {
  cards.clear();
  return section("runs", write, () => {
    const { runs: ended = [], running = [] } = state.report ?? {};
    return [state.report !== null, ...[...running, ...ended].map(signature)].join("\n");
  });
}

/** What tells two states of a run apart; an ended run does not change. @param {any} run */
function signature(run) {
  const under = run.seconds === null ? [run.line, run.summary, run.notes?.length] : [];
  return JSON.stringify([key(run), run.seconds, ...under]);
}

/** @param {any} run */
function key(run) {
  return `${run.id ?? ""} ${run.started} ${run.node_id}`;
}

/** @param {any} body */
function write(body) {
  if (!state.report) return body.replaceChildren(empty(say("loading")));
  const { runs: ended = [], running = [] } = state.report;
  const newest = [...ended, ...running].reverse();
  if (!newest.length) return body.replaceChildren(empty(say("noRuns")));
  let left = AT_ONCE;
  const elements = newest.flatMap((run) => {
    const made = isMade(run);
    if (!made && left-- <= 0) return [];
    return [card(run)];
  });
  if (left < 0) requestAnimationFrame(() => body.isConnected && write(body));
  const present = new Set(newest.map(key));
  for (const one of [...cards.keys()]) if (!present.has(one)) cards.delete(one);
  // Elements that stay where they are keep the focus that they have.
  elements.forEach((element, index) => {
    if (body.children[index] !== element) body.insertBefore(element, body.children[index] ?? null);
  });
  while (body.children.length > elements.length) body.lastChild.remove();
}

/** @param {any} run */
function isMade(run) {
  return cards.get(key(run))?.signature === `${locale()} ${signature(run)}`;
}

/** @param {any} run */
function card(run) {
  if (isMade(run)) return cards.get(key(run))?.element;
  const now = `${locale()} ${signature(run)}`;
  const element = make("article.run", { "data-run": run.id }, heading(run), callsChart(run), remarks(run), classes(run));
  cards.set(key(run), { signature: now, element });
  return element;
}

/** Where the run went by times that were measured. @param {any} run */
function measureAnew(run) {
  const timed = (run.classes ?? []).some((/** @type {any} */ one) => typeof one.milliseconds === "number");
  if (run.seconds === null || typeof run.id !== "number" || !timed) return null;
  const route = `/sagekit/runs/${run.id}/measure`;
  return actionButton(() => act(route), say("measureAnew"), "stopwatch", { title: say("measureAnewHint") });
}

/** @param {any} run */
function heading(run) {
  const facts = [
    run.seconds === null ? [icon("spin spinner"), say("running")] : say("runSeconds", { seconds: number(run.seconds) }),
    run.node_id && say("runNode", { node: run.node_id }),
    run.quality && say("quality", { quality: run.quality }),
    run.gain && say("runGain", { gain: number(run.gain) }),
    run.seconds_saved && say("runSaved", { seconds: number(run.seconds_saved) }),
    clock(run.started),
  ];
  return [
    make("h4", {}, say("runHeading", { model: run.model, kernel: run.kernel })),
    make("p.run-facts", {}, facts.filter(Boolean).map((one) => make("span", {}, one))),
  ];
}

/** @param {any} run */
function remarks(run) {
  /** @type {string[]} */
  const warnings = (run.warnings ?? []).map((/** @type {any} */ one) => one.text);
  const others = (run.notes ?? []).filter((/** @type {string} */ note) => !warnings.includes(note));
  if (!warnings.length && !others.length) return null;
  return make(
    "ul.notes",
    {},
    warnings.map((text) =>
      make("li.warned", {}, icon("exclamation-triangle"), make("span", {}, say("warning", { text: told(text) }))),
    ),
    others.map((/** @type {string} */ text) => make("li", {}, told(text))),
  );
}

/** @param {any} run */
function classes(run) {
  const all = run.classes ?? [];
  if (!all.length) return null;
  return block(`run ${key(run)}`, say("classes", { count: all.length }), () => [classesTable(all), measureAnew(run)]);
}
