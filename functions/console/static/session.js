/** Who is signed in: the account of the token, which says what the pages may show. */

import { endedBecause, get, IMAGES, Problem, token } from "./api.js";
import { createStore } from "./store.js";

/**
 * @typedef {object} Operation
 * @property {boolean} enabled
 * @property {string} engine
 * @property {string} model
 * @property {string | null} size
 *
 * @typedef {object} Account
 * @property {string} owner
 * @property {string} name
 * @property {"user" | "admin"} role
 * @property {string} deployment
 * @property {string} version
 * @property {string[] | null} engines
 * @property {string[] | null} models
 * @property {import("./budgets.js").LimitState | null} [limits] those of the token's requests
 * @property {Operation} generation
 * @property {Operation} edit
 */

/** The account; null while nobody is signed in. */
export const account = createStore(/** @type {Account | null} */ (null));

token.listen(() => {
  if (!token.get()) account.set(null);
});

/**
 * Sign in with a token, which is kept only if the gateway accepts it.
 *
 * @param {string} secret
 * @throws {Problem}
 */
export async function signIn(secret) {
  // A header can have no other characters: the browser would not send the request.
  if (/[^\x21-\x7e]/.test(secret)) throw new Problem("This token is not valid", "It has characters that no token has.");
  const known = await get(`${IMAGES}/account`, { as: secret }).catch((problem) => {
    if (problem.status !== 401) throw problem;
    throw new Problem("This token is not valid", "Check that it is complete, and that it has not expired.", problem);
  });
  endedBecause.set("");
  token.set(secret);
  account.set(known);
}

/** Read the account again, for example after its defaults were changed. */
export async function refreshAccount() {
  account.set(await get(`${IMAGES}/account`));
}

/** Forget the token, and with it everything that the page has in memory. */
export function signOut() {
  endedBecause.set("");
  token.set("");
  history.replaceState(null, "", location.pathname);
  location.reload();
}
