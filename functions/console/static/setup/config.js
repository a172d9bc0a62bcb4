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
