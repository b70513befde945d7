// The table of a run's sizes of call: what ran each of them, its time, its error, and what was passed over and why.
// @ts-check
import { make } from "../dom.js";
import { errorText, milliseconds, number, say, told } from "../words.js";

const COLUMNS = ["columnCall", "columnKernel", "columnCalls", "columnTime", "columnOwnTime", "columnError", "columnReason"];

/** @param {any[]} classes */
export function classesTable(classes) {
  const head = COLUMNS.map((key) => make("th", { scope: "col" }, say(key)));
  return make(
    "div.scroll",
    { tabindex: "0", role: "region", "aria-label": say("classes", { count: classes.length }) },
    make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, classes.map(row))),
  );
}

/** @param {any} one */
function row(one) {
  const time = (/** @type {any} */ value) => (typeof value === "number" ? milliseconds(value) : "");
  return make(
    "tr",
    {},
    make("td", {}, one.call),
    make("td", {}, one.kernel || say("ownAttention")),
    make("td.number", {}, number(one.calls)),
    make("td.number", {}, time(one.milliseconds)),
    make("td.number", {}, time(one.host_milliseconds)),
    make("td.number", {}, typeof one.error === "number" ? errorText(one.error) : ""),
    make("td.reason", {}, one.reason, passedOver(one.passed_over ?? {})),
  );
}

/** Texts only until it is opened: a table has up to 64 of these. @param {Record<string, string[]>} kernels */
function passedOver(kernels) {
  const names = Object.keys(kernels);
  if (!names.length) return null;
  const element = make("details", {}, make("summary", {}, say("passedOver", { count: names.length })));
  element.addEventListener(
    "toggle",
    () => {
      const items = names.map((name) => make("li", {}, `${name}: ${kernels[name].map(told).join("; ")}`));
      element.append(make("ul", {}, items));
    },
    { once: true },
  );
  return element;
}
