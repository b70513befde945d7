// What the server said last, and when to ask again; a request that fails leaves a sentence, never an exception.
// @ts-check
import { read, send } from "./host.js";
import { learn, told as inOurWords } from "./words.js";

/**
 * @typedef {{status: any, report: any, plan: any, trouble: Record<string, {gone: boolean, text: string}>}} State
 */

/** @type {State} */
export const state = { status: null, report: null, plan: null, trouble: {} };

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {Record<string, string>} */
const texts = {};
/** @type {Map<string, Promise<void>>} */
const underWay = new Map();
let told = false;

/** @param {() => void} changed called once a frame at most */
export function onChange(changed) {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

/** Tells those who show it that something has changed. */
export function tell() {
  if (told) return;
  told = true;
  requestAnimationFrame(() => {
    told = false;
    for (const changed of [...listeners]) changed();
  });
}

/**
 * Asks for one of the answers; one request for each at a time.
 * @param {"status" | "report" | "plan"} name
 */
export function load(name) {
  let request = underWay.get(name);
  if (!request) {
    request = ask(name).finally(() => underWay.delete(name));
    underWay.set(name, request);
  }
  return request;
}

/** @param {"status" | "report" | "plan"} name */
async function ask(name) {
  try {
    const text = await read(`/sagekit/${name}`);
    const recovered = name in state.trouble;
    delete state.trouble[name];
    // An unchanged answer is not worth parsing.
    if (text === texts[name] && !recovered) return;
    state[name] = name === "plan" ? JSON.parse(text) : clean(JSON.parse(text));
    texts[name] = text;
    learnAll(state[name]);
  } catch (error) {
    const answered = error instanceof Error && ["AnswerError", "SyntaxError"].includes(error.name);
    const text = error instanceof Error ? error.message : String(error);
    if (state.trouble[name]?.text === text) return;
    state.trouble[name] = { gone: !answered, text };
  }
  tell();
}

/** Of an answer, its runs, nodes and notices. @param {any} answer */
function learnAll(answer) {
  const { runs = [], running = [], nodes = [], notices = [] } = answer ?? {};
  for (const one of [answer, answer?.plan, ...runs, ...running, ...nodes, ...notices]) learn(one?.said);
}

/** @param {any} answer */
function clean(answer) {
  if (answer === null || typeof answer !== "object") throw new SyntaxError("not an object");
  return answer;
}

/** How far the kernel check is, as the server tells it of itself. @param {any} check */
export function hearCheck(check) {
  if (!state.status || check === null || typeof check !== "object") return;
  learn(check.said);
  state.status = { ...state.status, checking: check.kernel, check };
  // The next answer may be as the last one was, and this no longer.
  delete texts.status;
  tell();
}

/**
 * Has the server do something, and gives what it says of it.
 * @param {string} route
 */
export async function act(route) {
  const { text, said } = JSON.parse(await send(route, "").catch(refusal));
  learn(said);
  load("status");
  return inOurWords(text);
}

/** What the server says of a request that it refuses; an error where it says nothing. @param {any} error */
function refusal(error) {
  if (error?.name === "AnswerError" && String(error.cause).startsWith("{")) return String(error.cause);
  throw error;
}

/** A run of the last report by its id. @param {number | null | undefined} id */
export function runOf(id) {
  if (id === null || id === undefined) return undefined;
  const { runs = [], running = [] } = state.report ?? {};
  return [...runs, ...running].find((run) => run.id === id);
}
