/**
 * Things that the configuration has under names: connections, routes and workflows. Fields and all of them have one
 * version, so a change of something else must not look like a conflict.
 */

import { IMAGES, Problem, request } from "../api.js";
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
 * Delete an item as it was read.
 *
 * @param {"connections" | "routes" | "workflows"} kind
 * @param {string} name
 * @param {{before: any, etag: string}} base what it was
 * @returns {Promise<void>}
 * @throws {Problem} also if somebody else has changed it meanwhile
 */
export async function remove(kind, name, { before, etag }) {
  const path = `${IMAGES}/${kind}/${encodeURIComponent(name)}`;
  try {
    await request("DELETE", path, { headers: { "If-Match": etag } });
    return;
  } catch (problem) {
    if (/** @type {any} */ (problem).status !== 412) throw problem;
  }
  const now = await readAll(kind);
  const theirs = now.items.find((item) => item.name === name) ?? null;
  if (theirs && JSON.stringify(theirs) !== JSON.stringify(before)) {
    throw new Problem(
      "It is not deleted",
      `Somebody else has changed ${name} since you opened this page. Look at it again first.`,
    );
  }
  // Only something else was changed.
  if (theirs) await remove(kind, name, { before, etag: now.etag });
}
