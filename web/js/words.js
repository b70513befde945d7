// The words that the page itself writes, in the language that ComfyUI is set to, else in English.
// @ts-check
import { onSetting, read, setting } from "./host.js";

/** @type {Record<string, Record<string, string>>} */
let tables = {};
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
