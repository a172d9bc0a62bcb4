/** Months, as days of UTC: that is how usage is counted. */

import { formatMonth } from "../format.js";

/** How many months back there is usage. */
const MONTHS = 12;

/** @param {Date} date */
export const monthOf = (date) => date.toISOString().slice(0, 7);

/** @param {Date} now */
export function monthChoices(now) {
  return Array.from({ length: MONTHS }, (_, back) => {
    const value = monthOf(new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1)));
    return { value, label: formatMonth(value) };
  });
}

/**
 * Return the first and the last day of a month.
 *
 * @param {string} month such as `2026-11`
 */
export function rangeOf(month) {
  const [year, number] = month.split("-").map(Number);
  const last = new Date(Date.UTC(year, number, 0)).toISOString().slice(0, 10);
  return { first: `${month}-01`, last };
}
