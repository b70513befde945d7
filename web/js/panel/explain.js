// The part that takes a log, pasted or dropped, and says what its errors mean; the text stays on this machine.
// @ts-check
import { copyButton, make } from "../dom.js";
import { send } from "../host.js";
import { learn, say, told as inWords } from "../words.js";
import { empty, section } from "./section.js";

// Of a longer file: what did not load stands at its beginning, what went wrong last at its end.
const BEGINNING = 4_000_000;
const END = 12_000_000;

// What was pasted and what was answered outlive a panel that is made anew.
let pasted = "";
/** @type {{answers?: any[], error?: string, waits?: boolean}} */
let told = {};
let asked = 0;

export function explain() {
  return section("explain", write, () => "");
}

/** @param {any} body */
function write(body) {
  const answers = make("div.answers", { role: "status" });
  const field = make("textarea.paste", {
    rows: "4",
    spellcheck: "false",
    "aria-label": say("pasteHere"),
    placeholder: say("pasteHere"),
    oninput: () => (pasted = field.value),
    ondragover: (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      event.stopPropagation();
    },
    ondrop: (/** @type {DragEvent} */ event) => {
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      // ComfyUI itself takes a file that is dropped on its page for a workflow.
      event.preventDefault();
      event.stopPropagation();
      pasted = field.value = file.name;
      ask(part(file), answers);
    },
  });
  field.value = pasted;
  const button = make("button.button", { type: "button", onclick: () => ask(field.value, answers) }, say("explainIt"));
  body.replaceChildren(field, button, answers);
  show(answers);
}

/** Both ends of a file, whole where it is short. Cut between letters of two bytes. @param {File} file */
function part(file) {
  if (file.size <= BEGINNING + END) return file;
  const from = file.size - END;
  return new Blob([file.slice(0, BEGINNING), file.slice(from - (from % 2))]);
}

/** @param {string | Blob} text @param {any} answers */
async function ask(text, answers) {
  if (typeof text === "string" && !text.trim()) return;
  asked += 1;
  const mine = asked;
  told = { waits: true };
  show(answers);
  try {
    const found = JSON.parse(await send("/sagekit/explain", text));
    for (const one of found.answers ?? []) learn(one.said);
    if (mine === asked) told = { answers: found.answers };
  } catch (error) {
    if (mine === asked) told = { error: error instanceof Error ? error.message : String(error) };
  }
  // The panel may have been made anew meanwhile, and this element be gone: what is told is kept.
  show(document.contains(answers) ? answers : document.querySelector(".sagekit-answers"));
}

/** @param {any} place */
function show(place) {
  if (!place) return;
  const { answers, error, waits } = told;
  if (waits) place.replaceChildren(empty(say("explaining")));
  else if (error) place.replaceChildren(empty(say("serverError", { error })));
  else if (answers) place.replaceChildren(...(answers.length ? list(answers) : [empty(say("nothingKnown"))]));
  else place.replaceChildren();
}

/** @param {any[]} answers */
function list(answers) {
  // It holds for the whole text, and is said once.
  const notes = [...new Set(answers.map((one) => one.note).filter(Boolean))];
  return [...notes.map((note) => make("p.note", {}, inWords(note))), make("ul", {}, answers.map((one) => make("li", {}, answer(one))))];
}

/** One answer, also of the plan's. @param {any} one */
export function answer(one) {
  return [
    one.line && make("code", {}, one.line),
    one.harmless && make("div", {}, make("strong", {}, say("harmless"))),
    one.parts?.length > 1 ? several(one) : single(one),
    one.open_in && make("p.place", {}, one.open_in),
    (one.commands ?? []).map(command),
    one.sources?.length > 0 && make("p.quiet", {}, say("sources", { sources: one.sources.join(", ") })),
  ];
}

/** @param {any} one */
function single(one) {
  const todo = one.harmless ? null : make("strong", {}, say("whatToDo"), " ");
  return [make("div", {}, whole(one.cause)), make("div", {}, todo, whole(one.fix))];
}

/** Several causes between which nothing decides, most likely first, and what tells them apart. @param {any} one */
function several({ parts, question }) {
  const items = parts.map((/** @type {any} */ part) => make("li", {}, single(part)));
  return [make("div", {}, say("oneOf")), make("ol", {}, items), question && make("div", {}, whole(question))];
}

/** A text whose options (--plan) are not broken at their hyphens. @param {string} text */
function whole(text) {
  return String(text ?? "").split(/(--[a-z][\w-]*)/).map((part, at) => (at % 2 ? make("span.whole", {}, part) : part));
}

/** @param {string} text */
export function command(text) {
  return make(
    "div.command",
    {},
    make("code", { tabindex: "0" }, text),
    copyButton(() => text, say("copy"), { "aria-label": say("copyCommand", { command: text }) }),
  );
}
