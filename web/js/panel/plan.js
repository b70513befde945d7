// The part about the plan: what to install and how to go back, each command with a button that copies it.
// @ts-check
import { block, icon, list, make } from "../dom.js";
import { state } from "../store.js";
import { say, told, why } from "../words.js";
import { answer, command } from "./explain.js";
import { misfit } from "./machine.js";
import { empty, section } from "./section.js";

/** @type {Record<string, string>} */
const OUTCOMES = {
  well: "outcomeWell",
  "not-judged": "outcomeNotJudged",
  "not-needed": "outcomeNotNeeded",
  install: "outcomeInstall",
  repair: "outcomeRepair",
  "nothing-fits": "outcomeNothingFits",
  "no-way-back": "outcomeNoWayBack",
  "not-for-this-gpu": "outcomeNotForThisGpu",
};

// Where a terminal is to be opened. The folder of others is told in the server's own words.
/** @type {Record<string, string>} */
const PLACES = {
  portable: "placePortable",
  comfyui: "placeComfyui",
  base: "placeBase",
  venv: "placeVenv",
  conda: "placeConda",
  python: "placePython",
};

export function plan() {
  return section("plan", write, () => JSON.stringify(state.plan));
}

/** @param {any} body */
function write(body) {
  if (!state.plan) return body.replaceChildren(empty(say("loading")));
  const found = state.plan.plan;
  if (!found) return body.replaceChildren(empty(say("noPlan")));
  const outcome = OUTCOMES[found.outcome];
  const findings = found.findings ?? [];
  const steps = [...(found.steps ?? []), ...(found.options ?? [])];
  const commands = steps.some((step) => step.shown?.length || step.undo_shown?.length);
  const parts = [
    make("p.outcome", {}, make("strong", {}, outcome ? say(outcome) : found.outcome)),
    make("p", {}, told(found.summary ?? "") || say("nothingYet")),
    commands && openIn(found),
    listOf("steps", found.steps, "ol"),
    listOf("options", found.options, "ul"),
    list(say("findings"), findings.map(finding)),
    list(say("mismatches"), (found.mismatches ?? []).map(misfit)),
    list(say("answers"), (found.answers ?? []).map(answer)),
    list(say("unfit"), (found.unfit ?? []).map(why)),
    list(say("serving"), (found.serving ?? []).map(serving)),
    refused(found.refused ?? []),
  ];
  body.replaceChildren(...parts.flat().filter(Boolean));
}

/** Commands are told from a folder that names nobody; here is which. @param {any} found */
function openIn({ place, host, system, open_in: told }) {
  const key = PLACES[place];
  const windows = system === "windows";
  let text = told;
  if (key && !host) text = say(windows ? "openInWindows" : "openIn", { place: say(key) });
  else if (place === "anywhere" && !host) text = say("openAnywhere");
  else if (place === "desktop") text = say("openInDesktop");
  return text ? make("p.place", {}, icon("folder-open"), make("span", {}, text)) : null;
}

/** @param {string} heading @param {any[] | undefined} steps @param {string} tag */
function listOf(heading, steps, tag) {
  if (!steps?.length) return null;
  return [make("h4", {}, say(heading)), make(`${tag}.steps`, {}, steps.map((one) => make("li", {}, step(one))))];
}

/** @param {any} one */
function step(one) {
  const back = one.undo_shown?.length || one.undo_by_hand || one.undo_missing;
  return [
    make("strong", {}, told(one.title ?? "")),
    (one.why ?? []).map((/** @type {string} */ text) => make("p", {}, told(text))),
    one.by_hand && make("p", {}, told(one.by_hand)),
    (one.shown ?? []).map(command),
    one.missing && make("p.missing", {}, one.missing),
    one.wheel?.file && make("p.quiet", {}, say("file", { file: one.wheel.file })),
    one.changes?.length > 0 && make("p.quiet", {}, say("changes", { changes: one.changes.map(change).join(", ") })),
    back && [
      make("p.quiet", {}, `${say("undo")}:`),
      one.undo_by_hand && make("p", {}, told(one.undo_by_hand)),
      (one.undo_shown ?? []).map(command),
      one.undo_missing && make("p.missing", {}, one.undo_missing),
    ],
    one.sources?.length > 0 && make("p.quiet", {}, say("sources", { sources: one.sources.join(", ") })),
  ];
}

/** @param {any} one */
function change(one) {
  return `${one.name} ${one.before ?? say("added")} -> ${one.after ?? say("removed")}`;
}

/** @param {any} one */
function finding(one) {
  const stops = one.stops && [icon("exclamation-triangle"), make("em", {}, `${say("findingStops")}. `)];
  return [stops, misfit(one)];
}

/** @param {any} one */
function serving(one) {
  return [one.kernel, one.what].filter(Boolean).join(": ");
}

/** @param {any[]} files */
function refused(files) {
  if (!files.length) return null;
  const items = () =>
    files.map(({ file, reasons }) =>
      make("li", {}, make("code", {}, file), reasons.map((/** @type {any} */ one) => make("div", {}, why(one)))),
    );
  return block("refused", say("refusedFiles", { count: files.length }), () => make("ul", {}, items()));
}
