/** Short messages at the bottom of the page, which screen readers read out. */

import { html, useEffect } from "./html.js";
import { createStore, useStore } from "./store.js";

const SHOWN_MS = 5000;

/** @typedef {{id: number, text: string}} Notice */

const notices = createStore(/** @type {Notice[]} */ ([]));
let last = 0;

/** @param {string} text */
export function notify(text) {
  last += 1;
  notices.set([...notices.get().slice(-2), { id: last, text }]);
}

/** @param {{notice: Notice}} props */
function Note({ notice }) {
  useEffect(() => {
    const timer = setTimeout(() => notices.set(notices.get().filter(({ id }) => id !== notice.id)), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [notice.id]);
  return html`<p class="notice">${notice.text}</p>`;
}

export function Notices() {
  const shown = useStore(notices);
  return html`<div class="notices" role="status" aria-live="polite">
    ${shown.map((notice) => html`<${Note} key=${notice.id} notice=${notice} />`)}
  </div>`;
}

/**
 * Copy a text, and say so.
 *
 * @param {string} text
 * @param {string} said
 */
export async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    notify(said);
  } catch {
    notify("The browser did not allow copying.");
  }
}
