// The part about node ids that belong to other packs here; there only where one does.
// @ts-check
import { icon, make } from "../dom.js";
import { command, strayCount, taken } from "../own_nodes.js";
import { say } from "../words.js";
import { section } from "./section.js";

export function ids() {
  const one = section("ids", write, () => JSON.stringify([taken(), strayCount()]));
  const element = make("div");
  return {
    element,
    update() {
      const there = taken().length > 0;
      if (there) one.update();
      if (there !== element.contains(one.element)) element.replaceChildren(...(there ? [one.element] : []));
    },
  };
}

/** @param {any} body */
function write(body) {
  const count = strayCount();
  const click = async () => {
    await command();
    write(body);
  };
  body.replaceChildren(
    make("ul", {}, taken().map((one) => make("li", {}, say("idTaken", one)))),
    count
      ? make("button.button", { type: "button", onclick: click }, icon("replay"), say("useOwn", { count }))
      : make("p.quiet", {}, say("noStrays")),
  );
}
