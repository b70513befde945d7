// Elements from values; a value is always text and never markup.
// @ts-check
import { copy } from "./clipboard.js";
import { say } from "./words.js";

/**
 * An element.
 * @param {string} tag "div", or with classes "div.bar.host"
 * @param {Record<string, any>} [properties] attributes; "on..." a listener, "style" an object
 * @param {...any} children elements and texts; null, undefined and false are left out
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  for (const one of classes) element.classList.add(`sagekit-${one}`);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(element.style, value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  return fill(element, ...children);
}

/**
 * Adds children to an element.
 * @param {any} element
 * @param {...any} children
 */
export function fill(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** An icon that says nothing to who cannot see it. @param {string} name of PrimeIcons */
export function icon(name) {
  const element = make("i.icon", { "aria-hidden": "true" });
  element.classList.add("pi", ...name.split(" ").map((one) => `pi-${one}`));
  return element;
}

/**
 * A button that copies a text and says so.
 * @param {() => string} text
 * @param {string} label
 * @param {Record<string, any>} [properties]
 */
export function copyButton(text, label, properties = {}) {
  const words = make("span", { "aria-live": "polite" }, label);
  let back = 0;
  const click = async () => {
    words.textContent = say((await copy(text())) ? "copied" : "copyFailed");
    clearTimeout(back);
    back = window.setTimeout(() => (words.textContent = label), 1500);
  };
  return make("button.button", { type: "button", onclick: click, ...properties }, icon("copy"), words);
}

/**
 * A button that has something done and shows what came of it beside it, politely.
 * @param {() => Promise<string>} act gives a sentence; an error's own words are shown
 * @param {string} label
 * @param {string} name of an icon
 * @param {Record<string, any>} [properties]
 */
export function actionButton(act, label, name, properties = {}) {
  const told = make("span.told", { role: "status" });
  const click = async () => {
    // Not disabled, which would take the focus away.
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    told.textContent = "";
    try {
      told.textContent = await act();
    } catch (error) {
      told.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      button.removeAttribute("aria-busy");
    }
  };
  const button = make("button.button", { type: "button", onclick: click, ...properties }, icon(name), label);
  return make("p.action", {}, button, told);
}

/** Which of the blocks are open, so that a block made anew is as it was. @type {Set<string>} */
const opened = new Set();

/**
 * A block whose content is made when it is opened for the first time.
 * @param {string} key the same for the same block
 * @param {any} summary
 * @param {() => any} content
 * @param {Record<string, any>} [properties]
 */
export function block(key, summary, content, properties = {}) {
  const element = make("details.block", properties, make("summary", {}, summary));
  let made = false;
  const show = () => {
    if (!element.open || made) return;
    made = true;
    fill(element, content());
  };
  element.addEventListener("toggle", () => {
    if (element.open) opened.add(key);
    else opened.delete(key);
    show();
  });
  if (opened.has(key)) {
    element.open = true;
    show();
  }
  return element;
}

/** A list with a heading; nothing where there is nothing in it. @param {string} heading @param {any[]} items */
export function list(heading, items) {
  if (!items.length) return null;
  return [make("h4", {}, heading), make("ul", {}, items.map((one) => make("li", {}, one)))];
}
