/** Ranges of days of UTC: that is how usage is counted. */

import { formatDay, formatMonth } from "../format.js";

/**
 * @typedef {object} Range
 * @property {string} first a day, such as `2026-11-01`
 * @property {string} last
 */

/** How many months back are offered. */
const MONTHS = 12;
/** How many days back there is usage. */
const KEPT_DAYS = 400;
/** The choice of days by hand. */
export const OTHER = "other";

/** @param {Date} date */
export const monthOf = (date) => date.toISOString().slice(0, 7);

/**
 * Return a day of UTC.
 *
 * @param {Date} now
 * @param {number} [back] how many days before today
 */
export const dayOf = (now, back = 0) => new Date(now.getTime() - back * 86_400_000).toISOString().slice(0, 10);

/** @param {Date} now */
export const earliestDay = (now) => dayOf(now, KEPT_DAYS);

/** @param {Date} now */
export function periodChoices(now) {
  const months = Array.from({ length: MONTHS }, (_, back) => {
    const value = monthOf(new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1)));
    return { value, label: formatMonth(value), group: "Months" };
  });
  const days = [
    { value: "7", label: "Last 7 days" },
    { value: "30", label: "Last 30 days" },
    { value: OTHER, label: "Other days" },
  ];
  return [...months, ...days.map((choice) => ({ ...choice, group: "Days" }))];
}

/**
 * Return the days of a choice, all of a month or some until today.
 *
 * @param {string} period
 * @param {Date} now
 * @returns {Range}
 */
export function rangeOf(period, now) {
  if (!period.includes("-")) return { first: dayOf(now, Number(period) - 1), last: dayOf(now) };
  const [year, month] = period.split("-").map(Number);
  return { first: `${period}-01`, last: new Date(Date.UTC(year, month, 0)).toISOString().slice(0, 10) };
}

/**
 * Return all days of a range.
 *
 * @param {Range} range
 */
export function daysOf({ first, last }) {
  const days = [];
  for (let at = Date.parse(first); at <= Date.parse(last); at += 86_400_000) days.push(dayOf(new Date(at)));
  return days;
}

/**
 * Return a range in parts of one month each.
 *
 * @param {Range} range
 * @returns {Range[]}
 */
export function monthsOf(range) {
  const days = daysOf(range);
  const starts = days.filter((day) => day === range.first || day.endsWith("-01"));
  return starts.map((first) => ({
    first,
    last: days.filter((day) => day.startsWith(first.slice(0, 7))).at(-1) ?? first,
  }));
}

/**
 * Return a range in words.
 *
 * @param {Range} range
 */
export function rangeWords({ first, last }) {
  const whole = rangeOf(first.slice(0, 7), new Date());
  if (first === whole.first && last === whole.last) return `in ${formatMonth(first.slice(0, 7))}`;
  return first === last ? `on ${formatDay(first)}` : `from ${formatDay(first)} to ${formatDay(last)}`;
}
