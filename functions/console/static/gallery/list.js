/** Jobs of the gallery: pages of the API, of which the filters that the API does not have leave out some. */

import { createSessionStore, get, IMAGES } from "../api.js";

/**
 * @typedef {import("../jobs.js").Job} Job
 *
 * @typedef {object} Filters
 * @property {string} status
 * @property {string} model
 * @property {string} days the age of a job at most; empty: any
 * @property {string} endUser the label of the end user for whom they are
 * @property {boolean} everyone all owners' jobs instead of one's own; for administrators
 */

/** @type {Filters} */
export const NO_FILTERS = { status: "", model: "", days: "", endUser: "", everyone: false };

/** What is chosen stays while other pages are shown. */
export const chosen = createSessionStore(NO_FILTERS);

/**
 * Have the gallery show the jobs for an end user, whoever's token sent them.
 *
 * @param {string} endUser its label
 */
export const showJobsOf = (endUser) => chosen.set({ ...NO_FILTERS, endUser, everyone: true });

const PAGE = 60;

/**
 * Read the next page.
 *
 * @param {Filters} filters
 * @param {string} owner
 * @param {string | null} cursor
 * @param {AbortSignal} signal
 * @returns {Promise<{jobs: Job[], cursor: string | null}>} the jobs that match; null for `cursor` after the last page
 */
export async function readPage(filters, owner, cursor, signal) {
  const query = new URLSearchParams({ limit: String(PAGE) });
  if (filters.status) query.set("status", filters.status);
  if (filters.endUser) query.set("end_user", filters.endUser);
  if (!filters.everyone) query.set("owner", owner);
  if (cursor) query.set("cursor", cursor);
  const page = await get(`${IMAGES}/jobs?${query}`, { signal });
  const earliest = filters.days ? Date.now() - Number(filters.days) * 86_400_000 : 0;
  const recent = page.jobs.filter((/** @type {Job} */ job) => Date.parse(job.created_at) >= earliest);
  const jobs = recent.filter((/** @type {Job} */ job) => !filters.model || job.model === filters.model);
  // The list is sorted by time: behind a job that is too old, all are.
  return { jobs, cursor: recent.length < page.jobs.length ? null : (page.cursor ?? null) };
}
