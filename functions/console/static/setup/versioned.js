/**
 * Things that the configuration has under names: connections, routes and workflows. Fields and all of them have one
 * version, so a change of something else must not look like a conflict.
 */

import { IMAGES, request } from "../api.js";
import { useEffect, useState } from "../html.js";

/**
 * @typedef {object} Listed
 * @property {any[]} items
 * @property {string} etag
 *
 * @typedef {object} Saved what became of saving
 * @property {any} [item] as it is stored now
 * @property {any} [theirs] as somebody else has stored it meanwhile; null if they have deleted it
 * @property {string} [etag] the version of that
 */

/**
 * @param {"connections" | "routes" | "workflows"} kind
 * @returns {Promise<Listed>}
 */
export async function readAll(kind) {
  const { data, headers } = await request("GET", `${IMAGES}/${kind}`);
  return { items: data[kind], etag: headers.get("etag") ?? "" };
}

/**
 * The list of a kind, read when it is shown.
 *
 * @param {"connections" | "routes" | "workflows"} kind
 */
export function useListed(kind) {
  const [listed, setListed] = useState(/** @type {Listed | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const read = () => {
    setProblem(null);
    return readAll(kind).then(setListed, setProblem);
  };
  useEffect(() => {
    read();
  }, [kind]);
  return { listed, problem, read };
}

/**
 * Store an item on top of the version that it was read in.
 *
 * @param {"connections" | "routes" | "workflows"} kind
 * @param {string} name
 * @param {any} body
 * @param {{before: any, etag: string}} base what it was; null for a new one
 * @returns {Promise<Saved>}
 */
export async function save(kind, name, body, { before, etag }) {
  const path = `${IMAGES}/${kind}/${encodeURIComponent(name)}`;
  try {
    const { data } = await request("PUT", path, { body, headers: { "If-Match": etag } });
    return { item: data };
  } catch (problem) {
    if (/** @type {any} */ (problem).status !== 412) throw problem;
  }
  const now = await readAll(kind);
  const theirs = now.items.find((item) => item.name === name) ?? null;
  if (JSON.stringify(theirs) !== JSON.stringify(before)) return { theirs, etag: now.etag };
  // Only something else was changed: nothing is overwritten.
  return save(kind, name, body, { before, etag: now.etag });
}

/**
 * @param {"connections" | "routes" | "workflows"} kind
 * @param {string} name
 */
export const remove = (kind, name) => request("DELETE", `${IMAGES}/${kind}/${encodeURIComponent(name)}`);
