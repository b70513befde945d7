// The words that the page itself writes, in the language that ComfyUI is set to, else in English.
// @ts-check
import { onSetting, read, setting } from "./host.js";

/** @type {Record<string, Record<string, string>>} */
let tables = {};
/** Sentences of the server in other languages, by language and code. @type {Record<string, Record<string, string>>} */
let sentences = {};
/** What the server has said, by its English text. @type {Map<string, Said>} */
const known = new Map();
// What a node says while it is busy is another text every second.
const KNOWN = 20_000;
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {(value?: unknown) => void} */
let arrived = () => {};

/** Kept when the words have been asked for. */
export const wordsThere = new Promise((resolve) => (arrived = resolve));

export function locale() {
  return String(setting("Comfy.Locale", "en") || "en");
}

/** @param {() => void} changed called when the words are there, and when the language changes */
export function onWords(changed) {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

function tell() {
  for (const changed of [...listeners]) changed();
}

/** Gets the tables, which ComfyUI puts together from the packs' locales. */
export async function loadWords() {
  try {
    const all = JSON.parse(await read("/i18n"));
    tables = Object.fromEntries(Object.entries(all).map(([name, one]) => [name, one?.sagekit ?? {}]));
    sentences = Object.fromEntries(Object.entries(all).map(([name, one]) => [name, one?.sagekitMessages ?? {}]));
  } catch (error) {
    console.warn("SageKit: its words could not be read", error);
  }
  arrived();
  tell();
}

onSetting("Comfy.Locale", tell);

/**
 * The text for a key, with {placeholders} filled in.
 * @param {string} key
 * @param {Record<string, unknown>} [values]
 */
export function say(key, values = {}) {
  const name = locale();
  const text = tables[name]?.[key] ?? tables[name.split("-")[0]]?.[key] ?? tables.en?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, value) => String(values[value] ?? whole));
}

/**
 * Keeps code and values of what the server says in English, for `told`.
 * @typedef {{text: string, code: string, values: Record<string, any>}} Said
 * @param {Said[] | undefined} said
 */
export function learn(said) {
  for (const one of Array.isArray(said) ? said : []) {
    known.delete(one.text);
    known.set(one.text, one);
    if (known.size > KNOWN) known.delete(known.keys().next().value ?? "");
  }
}

/**
 * What the server said, in the page's language; in English where there is no text for its code.
 * @param {string} text
 * @returns {string}
 */
export function told(text) {
  const said = known.get(text);
  if (said) return sentence(said);
  return text.includes("\n") ? text.split("\n").map(told).join("\n") : text;
}

/**
 * Why something does not do, as `told` has it.
 * @param {{needed?: string, came?: string}} reason
 */
export function why({ needed, came }) {
  const text = `needs ${needed}, got ${came}`;
  const said = told(text);
  return said === text ? say("needsGot", { needed, came }) : said;
}

/** @param {Said} said */
function sentence({ text, code, values }) {
  const name = locale();
  const template = sentences[name]?.[code] ?? sentences[name.split("-")[0]]?.[code];
  if (template === undefined) return text;
  return template.replace(/\{(\w+)(?::([^}]*))?\}/g, (whole, value, format) =>
    values && value in values ? shown(values[value], format ?? "") : whole,
  );
}

/**
 * A value as the format behind its name says, which is one of Python's.
 * @param {any} value
 * @param {string} format
 * @returns {string}
 */
function shown(value, format) {
  if (Array.isArray(value)) return joined(value.map((one) => shown(one, "")), format);
  if (typeof value === "number") return format ? number(value, digits(format)) : String(value);
  return value !== null && typeof value === "object" ? sentence(value) : String(value);
}

const JOINTS = /** @type {Record<string, string>} */ ({ dot: " · ", then: "; " });
const LISTS = /** @type {Record<string, "disjunction" | "conjunction">} */ ({
  or: "disjunction",
  either: "disjunction",
  and: "conjunction",
  both: "conjunction",
});

/** @param {string[]} texts @param {string} format */
function joined(texts, format) {
  // A sentence that ends in a wide full stop has its space in it.
  if (format === "sentences") return texts.reduce((all, one) => all + (all.endsWith("。") ? "" : " ") + one);
  if (!(format in LISTS)) return texts.join(JOINTS[format] ?? ", ");
  return new Intl.ListFormat(locale(), { type: LISTS[format] }).format(texts);
}

/** @param {string} format "," or ".1f" or ".3g" or ".1%" @returns {Intl.NumberFormatOptions} */
function digits(format) {
  const [, places, kind] = /^(?:\.(\d+))?([fg%,])$/.exec(format) ?? ["", "", ","];
  const count = Number(places ?? 6);
  if (kind === "g") return { maximumSignificantDigits: count };
  if (kind === ",") return {};
  return { style: kind === "%" ? "percent" : "decimal", minimumFractionDigits: count, maximumFractionDigits: count };
}

/** Making one of these costs more than all else in a row of a table. @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/**
 * A number in the language's own way.
 * @param {number} value
 * @param {Intl.NumberFormatOptions} [options]
 */
export function number(value, options = {}) {
  const key = `${locale()} ${JSON.stringify(options)}`;
  let format = formats.get(key);
  if (!format) {
    try {
      format = new Intl.NumberFormat(locale(), options);
    } catch {
      format = new Intl.NumberFormat("en", options);
    }
    formats.set(key, format);
  }
  return format.format(value);
}

/** @param {number} seconds Unix time */
export function clock(seconds) {
  const date = new Date(seconds * 1000);
  try {
    return date.toLocaleTimeString(locale());
  } catch {
    return date.toLocaleTimeString("en");
  }
}

/** @param {number} value milliseconds, as short as three digits are */
export function milliseconds(value) {
  return number(value, { maximumSignificantDigits: 3 });
}

/** @param {number} value a relative error */
export function errorText(value) {
  return `${number(value * 100, { maximumSignificantDigits: 2 })} %`;
}
