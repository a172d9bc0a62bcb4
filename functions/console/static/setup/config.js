/** The fields of the configuration, read and stored. */

import { IMAGES, request } from "../api.js";
import { forgetModels } from "../models.js";
import { refreshAccount } from "../session.js";

/**
 * @typedef {object} Stored the configuration as it was read
 * @property {any} config
 * @property {string} etag
 */

/** @returns {Promise<Stored>} */
export async function readConfig() {
  const { data, headers } = await request("GET", `${IMAGES}/config`);
  return { config: data, etag: headers.get("etag") ?? "" };
}

/**
 * Store changes on top of what was read before. A change of other fields meanwhile is no conflict.
 *
 * @param {any} changes
 * @param {Stored} base
 * @returns {Promise<(Stored & {warnings: string[]}) | {theirs: string[], current: Stored}>} what was stored, or the fields that
 *   somebody else has changed meanwhile: then nothing is stored
 */
export async function saveOver(changes, base) {
  try {
    return await saveConfig(changes, base.etag);
  } catch (problem) {
    if (/** @type {any} */ (problem).status !== 412) throw problem;
  }
  const current = await readConfig();
  const theirs = Object.keys(changes).filter(
    (name) => JSON.stringify(current.config[name]) !== JSON.stringify(base.config[name]),
  );
  return theirs.length ? { theirs, current } : saveOver(changes, current);
}

/**
 * Store changes on top of a version. Throws a problem with status 412 if another version is current by now.
 *
 * @param {any} changes
 * @param {string} [etag] without one, the changes are stored on top of any version
 * @returns {Promise<Stored & {warnings: string[]}>}
 */
export async function saveConfig(changes, etag) {
  const { data, headers } = await request("POST", `${IMAGES}/config/update`, {
    body: changes,
    headers: etag ? { "If-Match": etag } : {},
  });
  const { warnings = [], ...config } = data;
  forgetModels();
  refreshAccount().catch(() => {});
  return { config, etag: headers.get("etag") ?? "", warnings };
}
