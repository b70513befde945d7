// The part about the nodes of the open workflow: everything that each of them says; there only where one says something.
// @ts-check
import { icon, make } from "../dom.js";
import { everything } from "../node_line.js";
import { clock, say, told } from "../words.js";
import { section } from "./section.js";

export function nodes() {
  const one = section("nodes", write, () => JSON.stringify(cards()));
  const element = make("div");
  return {
    element,
    update() {
      const there = cards().length > 0;
      if (there) one.update();
      if (there !== element.contains(one.element)) element.replaceChildren(...(there ? [one.element] : []));
    },
  };
}

/** What is shown of each node. */
function cards() {
  return everything().map(({ node, message, now }) => ({
    id: message.node_id,
    title: node.title ?? node.type,
    line: now.line,
    lines: String(message.text ?? "").split("\n").filter((one) => one && one !== now.line),
    warnings: (message.warnings ?? []).map((/** @type {any} */ one) => one.text),
    time: message.time,
  }));
}

/** @param {any} body */
function write(body) {
  body.replaceChildren(...cards().map(card));
}

/** @param {any} one */
function card({ id, title, line, lines, warnings, time }) {
  const others = lines.filter((/** @type {string} */ text) => !warnings.includes(text));
  return make(
    "article.run",
    { "data-node": id, tabindex: "-1" },
    make("h4", {}, title),
    make("p.run-facts", {}, make("span", {}, say("runNode", { node: id })), make("span", {}, clock(time))),
    make("p.said", {}, told(line)),
    make(
      "ul.notes",
      {},
      warnings.map((/** @type {string} */ text) =>
        make("li.warned", {}, icon("exclamation-triangle"), make("span", {}, say("warning", { text: told(text) }))),
      ),
      others.map((/** @type {string} */ text) => make("li", {}, told(text))),
    ),
  );
}
