// What this pack uses of ComfyUI's page; a part that an older or newer frontend lacks does nothing.
// @ts-check
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";

export { api, app };

export const PANEL = "sagekit";
// Frames in which a message appears.
const TOAST_FRAMES = 60;
let toastNumber = 0;

/**
 * A setting's value.
 * @param {string} id
 * @param {any} otherwise for a frontend that does not know the setting
 */
export function setting(id, otherwise) {
  const settings = app.extensionManager?.setting;
  const value = settings?.get ? settings.get(id) : /** @type {any} */ (app.ui?.settings)?.getSettingValue?.(id);
  return value ?? otherwise;
}

/**
 * Calls back after a setting has changed.
 * @param {string} id
 * @param {() => void} changed
 */
export function onSetting(id, changed) {
  // The new value is stored only after this event has been heard by all.
  app.ui?.settings?.addEventListener?.(`${id}.change`, () => queueMicrotask(changed));
}

/** The workflow's own graph, not the subgraph that is looked at. */
export function rootGraph() {
  // Asked before there is one, the host complains in the console.
  if (app.isGraphReady === false) return null;
  return app.rootGraph ?? app.graph ?? null;
}

/** The graph that is looked at: the workflow's own, or a subgraph. */
export function shownGraph() {
  return app.canvas?.graph ?? rootGraph();
}

/** Calls back when another graph is looked at. @param {() => void} changed */
export function onShownGraph(changed) {
  app.canvas?.canvas?.addEventListener?.("litegraph:set-graph", changed);
}

/** Whether nodes are drawn by Vue (Nodes 2.0) and not on the canvas. */
export function drawnByVue() {
  // @ts-ignore: a global of the host.
  return window.LiteGraph?.vueNodesMode ?? Boolean(setting("Comfy.VueNodes.Enabled", false));
}

/**
 * Shows a message that goes away by itself.
 * @param {import("@comfyorg/comfyui-frontend-types").ToastMessageOptions} message
 * @param {{label: string, run: () => void}} [button]
 */
export function toast(message, button) {
  const toasts = app.extensionManager?.toast;
  const name = `sagekit-toast-${(toastNumber += 1)}`;
  const shown = /** @type {any} */ ({ ...message, styleClass: `sagekit-toast ${name}` });
  toasts?.add?.(shown);
  if (!button) return;
  const click = () => {
    button.run();
    toasts?.remove?.(shown);
  };
  // The host's messages have no buttons.
  let tries = TOAST_FRAMES;
  const look = () => {
    const place = document.querySelector(`.${name} .p-toast-message-text`);
    if (place) place.append(toastButton(button.label, click));
    else if (tries--) requestAnimationFrame(look);
  };
  look();
}

/** @param {string} label @param {() => void} click */
function toastButton(label, click) {
  const element = Object.assign(document.createElement("button"), { type: "button", textContent: label, onclick: click });
  element.className = "sagekit-toast-button";
  return element;
}

/** A tab of the sidebar, as the host keeps it: what is changed of it is shown. @param {string} id @returns {any} */
export function sidebarTab(id) {
  const manager = /** @type {any} */ (app.extensionManager);
  return (manager?.getSidebarTabs?.() ?? []).find((/** @type {any} */ one) => one.id === id);
}

/** Opens the panel; one that is open stays open. */
export function openPanel() {
  const tabs = app.extensionManager?.sidebarTab;
  if (tabs && "activeSidebarTabId" in tabs) {
    tabs.activeSidebarTabId = PANEL;
  } else {
    app.extensionManager?.command?.execute?.(`Workspace.ToggleSidebarTab.${PANEL}`);
  }
}

/**
 * The text of an answer to GET.
 * @param {string} route
 */
export function read(route) {
  return answer(route, { cache: "no-store" });
}

/**
 * The text of an answer to POST.
 * @param {string} route
 * @param {string | Blob} body
 */
export function send(route, body) {
  return answer(route, { method: "POST", body });
}

/**
 * @param {string} route
 * @param {RequestInit} request
 * @returns {Promise<string>}
 */
async function answer(route, request) {
  const answer = await api.fetchApi(route, request);
  if (!answer.ok) {
    const error = new Error(`${answer.status} ${answer.statusText}`.trim(), { cause: await answer.text() });
    error.name = "AnswerError";
    throw error;
  }
  return answer.text();
}
