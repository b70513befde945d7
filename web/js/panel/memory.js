// What a user did to the panel and finds again: which parts are folded, over reloads too, and how far it is scrolled.
// @ts-check
const FOLDED = "SageKit.Folded";

/** The only memory where the browser keeps none. @type {Set<string>} */
const folded = new Set(kept());
let top = 0;

/** @returns {string[]} */
function kept() {
  try {
    const names = JSON.parse(localStorage.getItem(FOLDED) ?? "[]");
    return Array.isArray(names) ? names : [];
  } catch {
    return [];
  }
}

/** @param {string} name of a part */
export function isFolded(name) {
  return folded.has(name);
}

/** @param {string} name @param {boolean} now */
export function rememberFold(name, now) {
  if (now === folded.has(name)) return;
  if (now) folded.add(name);
  else folded.delete(name);
  try {
    localStorage.setItem(FOLDED, JSON.stringify([...folded]));
  } catch {
    // A full or forbidden storage: known until the page is loaded anew.
  }
}

/** The next panel begins at its top, or where it is told to. */
export function forgetScroll() {
  top = 0;
}

/** What scrolls the panel: the host's own element, or one around it. @param {any} element */
function scroller(element) {
  let one = element.parentElement;
  while (one && !(one.scrollHeight > one.clientHeight && /auto|scroll/.test(getComputedStyle(one).overflowY))) {
    one = one.parentElement;
  }
  return one;
}

/**
 * Scrolls a panel that is made anew to where the last one was, and keeps where it is from then on.
 * @param {any} element
 * @returns {() => void} ends that
 */
export function rememberScroll(element) {
  const wanted = top;
  let settled = wanted === 0;
  const listener = (/** @type {Event} */ event) => {
    const target = /** @type {any} */ (event.target);
    if (settled && target !== element && target?.contains?.(element)) top = target.scrollTop;
  };
  // Scrolling does not bubble.
  document.addEventListener("scroll", listener, true);
  // Its parts are filled as the server answers: too short until then.
  const observer = new ResizeObserver(() => {
    const one = scroller(element);
    if (settled || !one) return;
    one.scrollTop = wanted;
    settled = Math.abs(one.scrollTop - wanted) < 2;
  });
  observer.observe(element);
  // Who scrolls by hand meanwhile is not held.
  element.addEventListener("wheel", () => (settled = true), { passive: true });
  return () => {
    observer.disconnect();
    document.removeEventListener("scroll", listener, true);
  };
}
