// A part of the panel: a heading that folds, and content that is made anew only when what it shows has changed.
// @ts-check
import { make } from "../dom.js";
import { locale, say } from "../words.js";
import { isFolded, rememberFold } from "./memory.js";

/**
 * @param {string} title key of its words
 * @param {(body: any) => void} write fills the body
 * @param {() => string} signature of what it shows
 */
export function section(title, write, signature) {
  const heading = make("h3");
  const body = make("div.body");
  const element = make(
    "details.section",
    { open: !isFolded(title), "data-section": title },
    make("summary", {}, heading),
    body,
  );
  element.addEventListener("toggle", () => rememberFold(title, !element.open));
  let written = "";
  return {
    element,
    update() {
      const now = `${locale()} ${signature()}`;
      if (now === written) return;
      written = now;
      heading.textContent = say(title);
      write(body);
    },
  };
}

/** Rows of names and values; a row without a value is left out. @param {[string, any][]} rows */
export function facts(rows) {
  const there = rows.filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return make(
    "dl.facts",
    {},
    there.map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
  );
}

/** A sentence where there is nothing else to show. @param {string} text */
export function empty(text) {
  return make("p.empty", {}, text);
}
