/** Budgets: how much may be spent in a period, what is left, and when it renews. */

import { Field, State } from "./controls.js";
import { formatNearDay } from "./format.js";
import { html } from "./html.js";
import { formatUsd, microsOf, thousandths } from "./money.js";

/**
 * @typedef {object} Budget
 * @property {string} usd
 * @property {string} period
 *
 * @typedef {object} LimitState limits and what they leave, as the API has them
 * @property {Budget | null} [budget]
 * @property {string | null} [remaining_usd]
 * @property {number | null} [requests_per_minute]
 * @property {number | null} [max_jobs]
 * @property {number | null} [open_jobs]
 *
 * @typedef {{usd: string, period: string}} BudgetTexts an empty amount is no budget
 */

const PERIODS = /** @type {Record<string, string>} */ ({ day: "a day", month: "a month", total: "in all" });
const WARNS_AT = 800;

/** @param {Budget} budget */
export const budgetWords = ({ usd, period }) => `${formatUsd(usd)} ${PERIODS[period] ?? period}`;

/**
 * Return the first day of UTC on which the budget has its whole amount again; empty if it never renews.
 *
 * @param {string} period
 * @param {Date} now
 */
export function renewalDay(period, now) {
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  const next = { day: Date.UTC(year, month, day + 1), month: Date.UTC(year, month + 1, 1) }[period];
  return next === undefined ? "" : new Date(next).toISOString().slice(0, 10);
}

/**
 * Return how a budget stands: what is used of it, with what is held for jobs that have not ended.
 *
 * @param {Budget} budget
 * @param {string | null | undefined} remaining
 */
export function standing({ usd }, remaining) {
  const [limit, left] = [microsOf(usd), microsOf(remaining)];
  const used = limit > left ? limit - left : 0n;
  const share = left ? thousandths(used, limit) : 1000;
  const state = /** @type {"good" | "warn" | "bad"} */ (!left ? "bad" : share >= WARNS_AT ? "warn" : "good");
  return { used, left, share, state };
}

/** What is left of a budget, and when it renews. @param {{limits: LimitState, exact?: boolean}} props */
export function Left({ limits: { budget, remaining_usd: remaining }, exact }) {
  if (!budget) return null;
  const { left, state } = standing(budget, remaining);
  const day = renewalDay(budget.period, new Date());
  const until = day ? ` until ${formatNearDay(day)}, 00:00 UTC` : "";
  return html`<${State} state=${state}>${left ? `${formatUsd(left, exact)} left` : "Used up"}${until}<//>`;
}

/** @param {Budget | null} [budget] */
export const budgetTexts = (budget) => ({ usd: budget ? budget.usd : "", period: budget?.period ?? "month" });

/**
 * Return the budget as the API takes it; null is none.
 *
 * @param {BudgetTexts} texts
 */
export const budgetOf = ({ usd, period }) => (usd.trim() ? { usd: usd.trim(), period } : null);

/**
 * The inputs of a budget.
 *
 * @param {{label: string, periodLabel?: string, hint?: string, texts: BudgetTexts, error?: string, onChange: (texts: BudgetTexts) => void}} props
 */
export function BudgetInputs({ label, periodLabel = "Period", hint = "Empty: any amount.", texts, error, onChange }) {
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) =>
    onChange({ ...texts, [name]: event.target.value });
  return html`<${Field} label=${label} hint=${hint} error=${error}>
      ${(/** @type {any} */ ids) => html`<input ...${ids} inputmode="decimal" autocomplete="off" value=${texts.usd} onInput=${set("usd")} />`}
    <//>
    <${Field} label=${periodLabel} hint=${hint && (texts.period === "total" ? "Never renews." : "Begins at midnight UTC.")}>
      ${(/** @type {any} */ ids) => html`<select ...${ids} value=${texts.period} onChange=${set("period")}>
        ${Object.entries(PERIODS).map(([value, text]) => html`<option key=${value} value=${value} selected=${value === texts.period}>${text}</option>`)}
      </select>`}
    <//>`;
}
