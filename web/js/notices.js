// Notices of the server as toasts, each cause once, also over reloads of the page.
// @ts-check
import { api, openPanel, setting, toast } from "./host.js";
import { state } from "./store.js";
import { learn, say, told } from "./words.js";

export const TOASTS = "SageKit.Toasts";
const SHOWN = "SageKit.ShownNotices";
const KEPT = 100;
const LIFE = 15000;
/** @type {Record<string, string>} */
const SUMMARIES = {
  "startup-fallback": "noticeStartupFallback",
  guard: "noticeGuard",
  "versions-changed": "noticeVersionsChanged",
  "ids-taken": "noticeIdsTaken",
};

/** What this page has shown; the only memory where the browser keeps none. @type {Set<string>} */
const here = new Set();

/** @returns {string[]} */
function shown() {
  try {
    const ids = JSON.parse(localStorage.getItem(SHOWN) ?? "[]");
    return Array.isArray(ids) ? ids : [];
  } catch {
    return [];
  }
}

/** @param {string} id */
function remember(id) {
  here.add(id);
  try {
    localStorage.setItem(SHOWN, JSON.stringify([...shown(), id].slice(-KEPT)));
  } catch {
    // A full or forbidden storage: the notice may come again after a reload.
  }
}

/** @param {any} notice */
export function showNotice(notice) {
  const id = String(notice?.id ?? "");
  if (!id || !notice.text) return;
  const severity = notice.severity === "info" ? "info" : "warn";
  const summary = say(SUMMARIES[notice.kind] ?? "noticeOther");
  if (isNew(id)) showOnce([id], { severity, summary, detail: told(String(notice.text)) }, openPanel);
}

/** Whether something was not shown yet. @param {string} id the same for the same cause */
export function isNew(id) {
  return !here.has(id) && !shown().includes(id);
}

/**
 * Shows a toast, unless they are switched off.
 * @param {string[]} ids of the causes that it tells of
 * @param {import("@comfyorg/comfyui-frontend-types").ToastMessageOptions} message
 * @param {() => void} open opens the panel at what it is about
 */
export function showOnce(ids, message, open) {
  if (!setting(TOASTS, true)) return;
  for (const id of ids) remember(id);
  toast({ ...message, life: LIFE }, { label: say("open"), run: open });
}

/** Shows what the status holds and was not shown yet. */
export function showNotices() {
  for (const notice of state.status?.notices ?? []) showNotice(notice);
}

export function listen() {
  api.addEventListener("sagekit.notice", (/** @type {any} */ event) => {
    learn(event.detail?.said);
    showNotice(event.detail);
  });
}
