/** Numbers, times and durations as the browser's language writes them. */

const number = new Intl.NumberFormat();
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const utcDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const nearDay = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", timeZone: "UTC" });
const month = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** @param {number} value */
export const formatNumber = (value) => number.format(value);

/** @param {string} time a time, or a day of UTC */
export const formatDay = (time) => (time.length === 10 ? utcDay : day).format(new Date(time));

/** @param {string} text a day of UTC near today */
export const formatNearDay = (text) => nearDay.format(new Date(text));

/** @param {string} text such as `2026-11` */
export const formatMonth = (text) => month.format(new Date(`${text}-01T00:00:00Z`));

/** @param {string} time */
export const formatMoment = (time) => moment.format(new Date(time));

/** @param {string} time */
export const formatClock = (time) => clock.format(new Date(time));

/** @param {number} seconds */
export function formatSeconds(seconds) {
  if (seconds < 10) return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(seconds)} s`;
  if (seconds < 90) return `${number.format(Math.round(seconds))} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** @param {string} time */
export function formatAgo(time) {
  const seconds = (new Date(time).getTime() - Date.now()) / 1000;
  if (Math.abs(seconds) > 6 * 86_400) return formatDay(time);
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  if (unit === "second") return seconds < 0 ? "just now" : "in a moment";
  return relative.format(Math.trunc(seconds / length), unit);
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  if (bytes < 1_000_000) return `${number.format(Math.max(1, Math.round(bytes / 1000)))} KB`;
  return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(bytes / 1_000_000)} MB`;
}

/**
 * Return the amount with its noun.
 *
 * @param {number} count
 * @param {string} noun in the singular, whose plural has an s
 */
export const plural = (count, noun) => `${number.format(count)} ${noun}${count === 1 ? "" : "s"}`;

/** The names of statuses, as people read them. */
export const STATUS = /** @type {Record<string, string>} */ ({
  queued: "Waiting",
  running: "Running",
  succeeded: "Done",
  failed: "Failed",
  canceled: "Canceled",
});

/** The names of engines, as their makers write them. */
export const ENGINE = /** @type {Record<string, string>} */ ({
  openai: "OpenAI-compatible",
  gemini: "Gemini",
  comfyui: "ComfyUI",
  automatic1111: "AUTOMATIC1111",
});
