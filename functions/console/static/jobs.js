/** The jobs that this tab has sent or watches. They go on while other pages are shown. */

import { createSessionStore, get, IMAGES, idempotencyKey, Problem, post, request } from "./api.js";
import { notify } from "./notices.js";

/**
 * @typedef {object} Image
 * @property {string} url
 * @property {string} id
 * @property {string} name
 * @property {string} content_type
 * @property {number} [width]
 * @property {number} [height]
 * @property {string} expires_at
 * @property {number} [seed]
 * @property {string} [revised_prompt]
 *
 * @typedef {object} Job
 * @property {string} id
 * @property {"generation" | "edit"} kind
 * @property {"queued" | "running" | "succeeded" | "failed" | "canceled"} status
 * @property {string} [owner]
 * @property {string} [end_user] the label of whom a chat front end said that it is for
 * @property {string} [engine]
 * @property {string} [model]
 * @property {string} [connection]
 * @property {string} [route]
 * @property {{connection: string, model?: string, code?: string, milliseconds?: number}[]} [tried]
 * @property {{usd: string, basis: string}} [cost]
 * @property {string} [uncertain_usd] what a job without images may have cost
 * @property {string} created_at
 * @property {string} [started_at]
 * @property {string} [finished_at]
 * @property {number} attempts
 * @property {any} [request]
 * @property {Image[]} images
 * @property {string[]} warnings
 * @property {{code: string, title: string, status: number, detail: string}} [error]
 *
 * @typedef {object} Entry what is shown of a job, from the moment it is sent
 * @property {string} key
 * @property {"generation" | "edit"} kind
 * @property {any} body the request
 * @property {number} ratio width by height of the box in which its images appear
 * @property {number} sentAt milliseconds since 1970
 * @property {Job | null} job null until the gateway has accepted the request
 * @property {Problem | null} problem why it was not accepted
 * @property {string} [original] address of the image that is edited, while this tab has it
 * @property {string} [path] where it was sent, if not to the route of its kind
 */

/** The newest come first. */
export const entries = createSessionStore(/** @type {Entry[]} */ ([]));

const DELAYS_MS = [500, 700, 1000, 1000, 1500, 2000, 3000, 4000];
const HIDDEN_MS = 10_000;
/** The routes that take models of all engines, not only of the configured one. */
const PATHS = { generation: "v1/images/generations", edit: "v1/images/edits" };

/** @param {Job} job */
export const hasEnded = (job) => !["queued", "running"].includes(job.status);

/**
 * @param {string} key
 * @param {Partial<Entry>} changes
 */
function change(key, changes) {
  entries.set(entries.get().map((entry) => (entry.key === key ? { ...entry, ...changes } : entry)));
}

/** @param {number} ms */
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Send a request as a job, and watch it until it has ended.
 *
 * @param {"generation" | "edit"} kind
 * @param {any} body
 * @param {{ratio?: number, original?: string, path?: string}} [shown]
 * @returns {string} the key of its entry
 */
export function submit(kind, body, { ratio = 1, original, path } = {}) {
  const key = idempotencyKey();
  const entry = { key, kind, body, ratio, original, path, sentAt: Date.now(), job: null, problem: null };
  entries.set([entry, ...entries.get()]);
  deliver(entry);
  return key;
}

/**
 * Send the request of an entry, and watch its job. However often an entry is sent, it is one job.
 *
 * @param {Entry} entry
 */
function deliver({ key, kind, body, path }) {
  sendOnce(path ?? PATHS[kind], body, key)
    .then((job) => {
      // A page that was opened before the response came may have found the job in the list.
      entries.set(entries.get().filter((entry) => entry.key === key || entry.job?.id !== job.id));
      change(key, { job });
      return watch(key, job);
    })
    .catch((problem) => change(key, { problem }));
}

/**
 * Send the request until there is a response. With one key it is one job, however often it arrives.
 *
 * @param {string} path
 * @param {any} body
 * @param {string} key
 */
async function sendOnce(path, body, key) {
  const headers = { Prefer: "respond-async", "Idempotency-Key": key };
  for (const wait of [1000, 3000, 0]) {
    try {
      return await post(path, body, { headers });
    } catch (problem) {
      const mayHelp = problem instanceof Problem && (problem.status === 0 || problem.code === "http_503");
      if (!mayHelp || !wait) throw problem;
      await pause(wait);
    }
  }
}

/**
 * @param {string} key
 * @param {Job} job
 */
async function watch(key, job) {
  for (let turn = 0; !hasEnded(job); turn += 1) {
    await pause(document.hidden ? HIDDEN_MS : DELAYS_MS[Math.min(turn, DELAYS_MS.length - 1)]);
    const entry = entries.get().find((found) => found.key === key);
    if (!entry || (entry.job && hasEnded(entry.job))) return;
    try {
      job = await get(`${IMAGES}/jobs/${job.id}`);
      change(key, { job });
    } catch (problem) {
      // The job goes on without this tab. Only a job that is gone is not asked for again.
      if (problem instanceof Problem && [401, 404].includes(problem.status)) throw problem;
    }
  }
}

/**
 * Cancel the job of an entry.
 *
 * @param {Entry} entry
 */
export async function cancel(entry) {
  if (!entry.job) return;
  try {
    const { data } = await request("DELETE", `${IMAGES}/jobs/${entry.job.id}`);
    change(entry.key, { job: data });
  } catch (problem) {
    // A conflict: it had ended before, and the next look shows how. Otherwise the job goes on, and so does its card.
    const hasEndedBefore = problem instanceof Problem && problem.status === 409;
    if (!hasEndedBefore) notify(`The job was not canceled. ${/** @type {Error} */ (problem).message}`);
  }
}

/**
 * Send the request of an entry again, for another image. A request without a response may have become a job, so it is
 * the same request that is sent again, and is not paid twice.
 *
 * @param {Entry} entry
 */
export function again(entry) {
  const { key, kind, body, ratio, original, path } = entry;
  if (!entry.job) {
    change(key, { problem: null, sentAt: Date.now() });
    return deliver(entry);
  }
  const { seed: _seed, ...same } = body;
  const isStored = kind === "edit" && !body.image;
  if (isStored) return notify("Its input images are no longer here. Open it in the gallery, and use them again.");
  submit(kind, { ...same, ...(path ? {} : { response_format: "url" }) }, { ratio, original, path });
}

/** @param {string} key */
export const dismiss = (key) => entries.set(entries.get().filter((entry) => entry.key !== key));

/**
 * Watch the jobs of the account that were sent before this page was loaded and have not ended.
 *
 * @param {import("./session.js").Account} account
 */
export async function resume(account) {
  const owner = encodeURIComponent(account.owner);
  const { jobs } = await get(`${IMAGES}/jobs?limit=20&owner=${owner}`);
  const known = new Set(entries.get().map((entry) => entry.job?.id));
  const open = jobs.filter((/** @type {Job} */ job) => !hasEnded(job) && !known.has(job.id));
  entries.set([...entries.get(), ...open.map(entryOf)]);
  for (const job of open) watch(job.id, job).catch((problem) => change(job.id, { problem }));
}

/**
 * @param {Job} job
 * @returns {Entry}
 */
export function entryOf(job) {
  const body = job.request ?? {};
  const sentAt = new Date(job.created_at).getTime();
  return {
    key: job.id,
    kind: job.kind,
    body,
    ratio: ratioOf(body.size, body.aspect_ratio) ?? 1,
    sentAt,
    job,
    problem: null,
  };
}

/**
 * Return width by height of a size or a ratio as requests have it; null if it says nothing of the shape.
 *
 * @param {string | null} [size]
 * @param {string | null} [ratio]
 */
export function ratioOf(size, ratio) {
  const match = /^(\d+)[x*:](\d+)$/.exec(size ?? "") ?? /^(\d+):(\d+)$/.exec(ratio ?? "");
  return match && Number(match[2]) ? Number(match[1]) / Number(match[2]) : null;
}

/**
 * Have the browser save an image, by a presigned URL that says so.
 *
 * @param {Image} image
 */
export async function download(image) {
  const { url } = await get(`${IMAGES}/${image.id}/download`);
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.rel = "noreferrer";
  anchor.download = image.name;
  anchor.click();
}
