/** Requests to the gateway's API, with the token of the session. Addresses are relative to the page. */

import { createStore } from "./store.js";

const KEY = "image-gateway-token";

/** The token: in this tab's session storage only, and in no URL. Empty: nobody is signed in. */
export const token = createStore(sessionStorage.getItem(KEY) ?? "");
token.listen(() => {
  if (token.get()) sessionStorage.setItem(KEY, token.get());
  else sessionStorage.removeItem(KEY);
});

/**
 * A store that has its first value again when a session has ended: the next person in this tab sees nothing of it.
 *
 * @template T
 * @param {T} value
 */
export function createSessionStore(value) {
  const store = createStore(value);
  token.listen(() => {
    if (!token.get()) store.set(value);
  });
  return store;
}

/** Why the session ended, if it did not end by signing out. */
export const endedBecause = createStore("");

/** An error in words for people: what happened, and its code. */
export class Problem extends Error {
  /**
   * @param {string} title
   * @param {string} detail
   * @param {{code?: string, status?: number, field?: string, errors?: {field: string, message: string}[]}} [more]
   */
  constructor(title, detail, more = {}) {
    super(detail || title);
    this.title = title;
    this.detail = detail;
    this.code = more.code ?? "";
    this.status = more.status ?? 0;
    this.field = more.field ?? "";
    this.errors = more.errors ?? [];
  }
}

/**
 * @typedef {object} Options
 * @property {unknown} [body] sent as JSON
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {string} [as] another token than that of the session
 */

/** @param {string} path relative to the gateway's base URL */
export const address = (path) => new URL(`../${path}`, document.baseURI);

/**
 * Send a request and return the JSON of the response with its headers.
 *
 * @param {string} method
 * @param {string} path relative to the gateway's base URL
 * @param {Options} [options]
 * @returns {Promise<{data: any, content: Blob, headers: Headers}>} `data` is null if the response is not JSON
 * @throws {Problem}
 */
export async function request(method, path, { body, headers = {}, signal, as } = {}) {
  const used = as ?? token.get();
  /** @type {Record<string, string>} */
  const sent = { ...headers };
  if (used) sent.Authorization = `Bearer ${used}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(address(path), {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem("The gateway did not answer", "Check your connection, then try again.", { code: "unreachable" });
  }
  // As it was sent: as a text it would lose a byte order mark.
  const content = await response.blob();
  const data = parsed(await content.text());
  if (response.ok) return { data, content, headers: response.headers };
  if (response.status === 401 && as === undefined) {
    endedBecause.set("Your token has expired or was revoked. Sign in again.");
    token.set("");
  }
  throw problemOf(response.status, data);
}

/** @param {string} text */
function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** What errors of the OpenAI API are called, which have no title. */
const TITLES = /** @type {Record<string, string>} */ ({
  budget_exceeded: "The budget is used up",
  rate_limited: "Too many requests",
});

/**
 * @param {number} status
 * @param {any} data
 */
function problemOf(status, data) {
  if (data?.error?.message) {
    const { message, code } = data.error;
    return new Problem(TITLES[code] ?? "The request was refused", message, { status, code });
  }
  if (data?.code) return new Problem(data.title, data.detail, { ...data, status });
  const busy = status === 429 || status === 503;
  const detail = busy ? "It is busy. Try again in a moment." : "Its log has more.";
  return new Problem(`The gateway responded with ${status}`, detail, { status, code: `http_${status}` });
}

/**
 * @param {string} path
 * @param {Options} [options]
 */
export const get = async (path, options) => (await request("GET", path, options)).data;

/**
 * @param {string} path
 * @param {unknown} body
 * @param {Options} [options]
 */
export const post = async (path, body, options) => (await request("POST", path, { ...options, body })).data;

/** The gateway's own routes. */
export const IMAGES = "api/v1/images";

/** A key with which a request that is sent twice is one job. */
export function idempotencyKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
