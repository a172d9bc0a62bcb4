/** The page that the fragment of the URL names, such as `#/gallery/…`. */

import { createStore } from "./store.js";

/** @returns {string[]} the parts of the fragment: the page, then what the page shows */
function read() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean);
  return parts.map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
}

/** The parts of the current fragment. */
export const route = createStore(read());
addEventListener("hashchange", () => route.set(read()));

/** @param {string[]} parts */
export const link = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;

/** @param {string[]} parts */
export function go(...parts) {
  location.hash = link(...parts);
}

/**
 * Show another address without a new entry in the history.
 *
 * @param {string[]} parts
 */
export function replace(...parts) {
  history.replaceState(null, "", link(...parts));
  route.set(read());
}
