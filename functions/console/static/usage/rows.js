/** Rows of usage, and their sums. All that the page shows is made of the same rows, so its sums agree. */

import { get, IMAGES } from "../api.js";
import { microsOf } from "../money.js";
import { monthsOf } from "./periods.js";

/**
 * @typedef {"day" | "token" | "connection" | "model" | "end_user"} Group
 *
 * @typedef {object} Row the fields that it is not grouped by are absent
 * @property {string} [day]
 * @property {string} [token] the id of a token, or the owner of requests by event
 * @property {string} [token_name] absent if the token was revoked
 * @property {string} [connection] empty if none answered
 * @property {string} [model]
 * @property {string} [end_user]
 * @property {number} requests
 * @property {number} images
 * @property {number} failures
 * @property {bigint} spent millionths of a US dollar
 * @property {bigint} uncertain what failed jobs may have cost in addition
 */

/** Everything that usage is counted by, in the order in which the API sorts. @type {Group[]} */
export const GROUPS = ["day", "token", "connection", "model"];

/**
 * Read the usage of a range, a month at a time: a response of a function has at most 6 MB.
 *
 * @param {import("./periods.js").Range} range
 * @param {Group[]} groups
 * @param {AbortSignal} signal
 * @returns {Promise<Row[]>}
 */
export async function readRows(range, groups, signal) {
  const rows = [];
  for (const { first, last } of monthsOf(range)) {
    const path = `${IMAGES}/usage?from=${first}&to=${last}&group_by=${groups.join(",")}`;
    const { rows: found } = await get(path, { signal });
    rows.push(...found);
  }
  return rows.map(({ usd, uncertain_usd: uncertain, ...row }) => ({
    ...row,
    spent: microsOf(usd),
    uncertain: microsOf(uncertain),
  }));
}

/**
 * Return the sum of rows.
 *
 * @param {Row[]} rows
 * @returns {Row}
 */
export function sumOf(rows) {
  const sum = { requests: 0, images: 0, failures: 0, spent: 0n, uncertain: 0n };
  for (const row of rows) {
    sum.requests += row.requests;
    sum.images += row.images;
    sum.failures += row.failures;
    sum.spent += row.spent;
    sum.uncertain += row.uncertain;
  }
  return sum;
}

/**
 * Return one row for each group, in the order of the groups' values, as the API has them.
 *
 * @param {Row[]} rows
 * @param {Group[]} groups
 * @returns {Row[]}
 */
export function grouped(rows, groups) {
  /** @type {Map<string, Row[]>} */
  const parts = new Map();
  for (const row of rows) {
    // A character that sorts before all others, so that a shorter value comes first.
    const key = groups.map((name) => row[name] ?? "").join("\u0000");
    const part = parts.get(key);
    if (part) part.push(row);
    else parts.set(key, [row]);
  }
  return [...parts.keys()].sort().map((key) => {
    const part = /** @type {Row[]} */ (parts.get(key));
    const names = groups.map((name) => [name, part[0][name]]);
    return { ...Object.fromEntries(names), token_name: part[0].token_name, ...sumOf(part) };
  });
}

/**
 * Return rows, the dearest first.
 *
 * @param {Row[]} rows
 */
export const dearestFirst = (rows) =>
  [...rows].sort((one, other) =>
    one.spent === other.spent ? other.requests - one.requests : one.spent < other.spent ? 1 : -1,
  );
