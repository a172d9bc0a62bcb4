/** What was spent in all, as one number, of the budget, and by day. */

import { budgetWords, Left, standing } from "../budgets.js";
import { formatNumber, plural } from "../format.js";
import { html, useState } from "../html.js";
import { formatUsd } from "../money.js";
import { notify } from "../notices.js";
import { Days } from "./days.js";
import { DeploymentLimits } from "./deployment_limits.js";
import { rangeWords } from "./periods.js";
import { grouped, sumOf } from "./rows.js";

/**
 * @param {{report: import("./page.js").Report, isAdmin: boolean, exact: boolean, isThisMonth: boolean, onChanged: () => void}} props
 */
export function Spent({ report: { rows, range, limits }, isAdmin, exact, isThisMonth, onChanged }) {
  const [limiting, setLimiting] = useState(false);
  const { spent, uncertain, images } = sumOf(rows);
  const { budget } = limits;
  const isOfBudget = budget?.period === "month" && isThisMonth;
  const onSaved = () => {
    setLimiting(false);
    notify("The deployment has its limits.");
    onChanged();
  };
  return html`<section class="card stack" aria-label="Spent">
    <div class="spent-head">
      <p class="total"><span class="large figures">${formatUsd(spent, exact)}</span>
        <span class="quiet">${isOfBudget ? `of ${formatUsd(budget.usd)} this month` : rangeWords(range)}, ${plural(images, "image")}</span></p>
      ${isAdmin && html`<button class="button" type="button" onClick=${() => setLimiting(true)}>Limit</button>`}
    </div>
    ${budget && html`<${Meter} limits=${limits} exact=${exact} spent=${isOfBudget ? spent : null} />`}
    ${uncertain > 0n && html`<p class="quiet small">Jobs that failed or were canceled may have cost ${formatUsd(uncertain, exact)} more.${budget ? " It stays held." : ""}</p>`}
    <${OtherLimits} limits=${limits} exact=${exact} />
    ${rows.length > 0 && html`<${Days} rows=${grouped(rows, ["day"])} range=${range} exact=${exact} />`}
  </section>
  ${limiting && html`<${DeploymentLimits} limits=${limits} onClose=${() => setLimiting(false)} onSaved=${onSaved} />`}`;
}

/**
 * How much of the budget is used.
 *
 * @param {{limits: import("../budgets.js").LimitState, exact: boolean, spent: bigint | null}} props `spent` is what was spent
 *   in the budget's period, where that is shown
 */
function Meter({ limits, exact, spent }) {
  if (!limits.budget) return null;
  const { used, share, state } = standing(limits.budget, limits.remaining_usd);
  const held = spent !== null && used > spent ? used - spent : 0n;
  return html`<div class="stack tight">
    <div class=${`meter ${state}`}><span style=${{ width: `${share / 10}%` }}></span></div>
    <p class="small">${spent === null && html`<span class="quiet">Budget: ${budgetWords(limits.budget)}.</span> `}<${Left} limits=${limits} exact=${exact} /></p>
    ${held > 0n && html`<p class="quiet small">${formatUsd(held, exact)} of it is held for jobs that have not ended, or that may have been charged.</p>`}
  </div>`;
}

/** The limits beside the budget. @param {{limits: any, exact: boolean}} props */
function OtherLimits({ limits, exact }) {
  const { requests_per_minute: perMinute, max_jobs: jobs, open_jobs: open, events } = limits;
  const lines = [
    perMinute && `At most ${plural(perMinute, "request")} a minute`,
    jobs && `${formatNumber(open ?? 0)} of ${plural(jobs, "job")} at once`,
    ...Object.entries(events ?? {}).map(
      ([source, state]) =>
        html`Events from ${source}: ${budgetWords(state.budget)}, <${Left} limits=${state} exact=${exact} />`,
    ),
  ].filter(Boolean);
  return lines.length
    ? html`<ul class="quiet small stack tight">${lines.map((line, index) => html`<li key=${index}>${line}</li>`)}</ul>`
    : null;
}
