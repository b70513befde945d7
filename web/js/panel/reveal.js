// Opens the panel at one of its parts: at what a node says, when its line is clicked.
// @ts-check
import { openPanel } from "../host.js";
import { forgetScroll } from "./memory.js";

// Frames in which the host opens its sidebar and the panel is written.
const TRIES = 120;
const MARKED = 2000;

/** @param {string} id of a node, as a run names it */
export function revealNode(id) {
  reveal(`[data-node="${CSS.escape(id)}"]`);
}

/** @param {string} name of a section */
export function revealSection(name) {
  reveal(`[data-section="${name}"]`);
}

/** @param {string} selector */
function reveal(selector) {
  forgetScroll();
  openPanel();
  let tries = TRIES;
  const look = () => {
    const found = document.querySelector(`.sagekit-panel ${selector}`);
    if (found) show(/** @type {HTMLElement} */ (found));
    else if (tries--) requestAnimationFrame(look);
  };
  look();
}

/** @param {HTMLElement} element */
function show(element) {
  const section = element.closest("details");
  if (section) section.open = true;
  element.scrollIntoView({ block: "start" });
  if (element.tabIndex < 0) element.focus({ preventScroll: true });
  element.classList.add("sagekit-revealed");
  setTimeout(() => element.classList.remove("sagekit-revealed"), MARKED);
}
