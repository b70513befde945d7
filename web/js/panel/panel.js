// The panel in the sidebar: its parts, when they are written anew, and when the server is asked again.
// @ts-check
import { api } from "../host.js";
import { copyButton, icon, make } from "../dom.js";
import { load, onChange, state } from "../store.js";
import { onWords, say } from "../words.js";
import { explain } from "./explain.js";
import { ids } from "./ids.js";
import { kernels } from "./kernels.js";
import { machine } from "./machine.js";
import { rememberScroll } from "./memory.js";
import { nodes } from "./nodes.js";
import { plan } from "./plan.js";
import { reportText } from "./report_text.js";
import { runs } from "./runs.js";
import { speed } from "./speed.js";
import { times } from "./times.js";

const POLL = 5000;
// While something is under way, and while the server is gone.
const POLL_SOON = 2000;
// What follows an event: a run tells of itself many times a second.
const AFTER_EVENT = 500;

/** @type {any} */
let shown = null;

/** Called by ComfyUI with its own element, more than once with the same one. @param {any} place */
export function showPanel(place) {
  if (shown?.place === place && place.contains(shown.element)) return;
  hidePanel();
  shown = build(place);
}

export function hidePanel() {
  shown?.end();
  shown = null;
}

/** @param {any} place */
function build(place) {
  const element = make("div.panel", { role: "region", "aria-label": "SageKit" });
  const panel = { place, element, end };
  /** @type {(() => unknown)[]} */
  const stops = [onChange(() => view.update()), onWords(write)];
  let view = parts();
  let timer = 0;
  let environment = "";

  function write() {
    view = parts();
    element.replaceChildren(view.element);
    view.update();
  }

  async function refresh(everything = false) {
    clearTimeout(timer);
    await Promise.all([load("status"), load("report")]);
    const now = JSON.stringify([state.status?.environment, state.status?.verdicts]);
    if (everything || now !== environment || "plan" in state.trouble) {
      environment = now;
      await load("plan");
    }
    again(busy() ? POLL_SOON : POLL);
  }

  /** @param {number} wait */
  function again(wait) {
    clearTimeout(timer);
    if (shown !== panel && shown !== null) return;
    timer = window.setTimeout(tick, wait);
  }

  function tick() {
    if (!element.isConnected) return end();
    if (document.visibilityState === "visible") refresh();
    else again(POLL);
  }

  const soon = () => again(AFTER_EVENT);
  const everything = () => refresh(true);
  const events = { "sagekit.node": soon, "sagekit.notice": soon, reconnected: everything };
  for (const [name, listener] of Object.entries(events)) api.addEventListener(name, listener);

  function end() {
    clearTimeout(timer);
    for (const stop of stops) stop();
    for (const [name, listener] of Object.entries(events)) api.removeEventListener(name, listener);
    element.remove();
  }

  element.addEventListener("sagekit-refresh", everything);
  place.replaceChildren(element);
  write();
  stops.push(rememberScroll(element));
  refresh(true);
  return panel;
}

function busy() {
  const running = state.report?.running?.length > 0;
  return running || Boolean(state.status?.checking) || Object.keys(state.trouble).length > 0;
}

/** The panel's parts in the language of now. */
function parts() {
  const banner = make("p.banner", { role: "status", hidden: true });
  const version = make("span.version");
  const refresh = make(
    "button.button",
    {
      type: "button",
      onclick: () => refresh.dispatchEvent(new CustomEvent("sagekit-refresh", { bubbles: true })),
    },
    icon("refresh"),
    say("refresh"),
  );
  const report = copyButton(() => reportText(state), say("copyReport"), { title: say("copyReportHint") });
  const header = make("header.header", {}, make("h2", {}, say("title"), " ", version), refresh, report);
  const sections = [speed(), nodes(), ids(), plan(), explain(), kernels(), machine(), times(), runs()];
  const element = make("div", {}, header, banner, sections.map((one) => one.element));
  return {
    element,
    update() {
      version.textContent = state.status?.version ?? "";
      const trouble = Object.values(state.trouble)[0];
      banner.hidden = !trouble;
      banner.textContent = trouble ? say(trouble.gone ? "serverGone" : "serverError", { error: trouble.text }) : "";
      element.classList.toggle("sagekit-gone", Boolean(trouble?.gone));
      for (const one of sections) one.update();
    },
  };
}
