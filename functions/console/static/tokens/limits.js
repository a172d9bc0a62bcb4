/** Limits of a token: how much it may spend, and how often and how many at once it may ask. */

import { IMAGES, request } from "../api.js";
import { BudgetInputs, budgetOf, budgetTexts, budgetWords, Left } from "../budgets.js";
import { Dialog, ErrorNote, Field } from "../controls.js";
import { formatNumber, plural } from "../format.js";
import { html, useState } from "../html.js";
import { shortUsd } from "../money.js";
import { errorOf } from "../setup/entry.js";
import { EndUserInputs, endUserChoices, endUserFields } from "./end_users.js";

/**
 * @typedef {import("../budgets.js").BudgetTexts} BudgetTexts
 * @typedef {{budget: BudgetTexts, perMinute: string, jobs: string}} LimitTexts an empty text is no limit
 */

/** @type {LimitTexts} */
export const NO_LIMITS = { budget: budgetTexts(), perMinute: "", jobs: "" };

/**
 * @param {import("../budgets.js").LimitState} limits
 * @returns {LimitTexts}
 */
export const textsOf = ({ budget, requests_per_minute: perMinute, max_jobs: jobs }) => ({
  budget: budgetTexts(budget ? { ...budget, usd: shortUsd(budget.usd) } : null),
  perMinute: perMinute ? String(perMinute) : "",
  jobs: jobs ? String(jobs) : "",
});

/**
 * Return the limits as the API has them; null is no limit.
 *
 * @param {LimitTexts} texts
 */
export const limitsOf = ({ budget, perMinute, jobs }) => ({
  budget: budgetOf(budget),
  requests_per_minute: perMinute ? Number(perMinute) : null,
  max_jobs: jobs ? Number(jobs) : null,
});

/** The limits in words, and what is left. @param {{limits: import("./page.js").Token}} props */
export function LimitWords({ limits }) {
  const { budget, end_user_budget: each, requests_per_minute: perMinute, max_jobs: jobs, open_jobs: open } = limits;
  const lines = [
    budget && budgetWords(budget),
    budget && html`<${Left} limits=${limits} />`,
    each && `${budgetWords(each)} for each end user`,
    perMinute && `${formatNumber(perMinute)} a minute`,
    jobs && `${formatNumber(open ?? 0)} of ${plural(jobs, "job")} at once`,
  ].filter(Boolean);
  return lines.length ? lines.map((line, index) => html`<span class="block" key=${index}>${line}</span>`) : "None";
}

/** @param {{texts: LimitTexts, problem?: any, onChange: (texts: LimitTexts) => void}} props */
export function LimitInputs({ texts, problem, onChange }) {
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) =>
    onChange({ ...texts, [name]: event.target.value });
  return html`<div class="form-grid">
    <${BudgetInputs} label="Budget in US dollars" texts=${texts.budget} error=${errorOf(problem, "budget")}
      onChange=${(/** @type {BudgetTexts} */ budget) => onChange({ ...texts, budget })} />
    <${Field} label="Requests a minute" hint="Empty: any number." error=${errorOf(problem, "requests_per_minute")}>
      ${(/** @type {any} */ ids) => html`<input ...${ids} type="number" min="1" value=${texts.perMinute} onInput=${set("perMinute")} />`}
    <//>
    <${Field} label="Jobs at once" hint="Queued and running. Empty: any number." error=${errorOf(problem, "max_jobs")}>
      ${(/** @type {any} */ ids) => html`<input ...${ids} type="number" min="1" value=${texts.jobs} onInput=${set("jobs")} />`}
    <//>
  </div>`;
}

/** @param {{token: any, onClose: () => void, onSaved: (token: any) => void}} props */
export function LimitDialog({ token, onClose, onSaved }) {
  const [texts, setTexts] = useState(textsOf(token));
  const [endUsers, setEndUsers] = useState(endUserChoices(token));
  const [state, setState] = useState(/** @type {{busy?: boolean, problem?: any}} */ ({}));
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ busy: true });
    const body = { ...limitsOf(texts), ...endUserFields(endUsers) };
    request("PATCH", `${IMAGES}/tokens/${token.id}`, { body }).then(
      ({ data }) => onSaved(data),
      (problem) => setState({ problem }),
    );
  };
  return html`<${Dialog} title=${`Limits of ${token.name}`} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${token.budget && html`<p><${Left} limits=${token} exact=${true} /></p>`}
      <${LimitInputs} texts=${texts} problem=${state.problem} onChange=${setTexts} />
      <${EndUserInputs} choices=${endUsers} problem=${state.problem} onChange=${setEndUsers} />
      <p class="quiet small">What a token may use is chosen when it is made. Changed limits hold at once, a token’s first ones within a minute. What was spent in the period stays spent.</p>
      <${ErrorNote} problem=${state.problem} />
      <div class="row end">
        <button class="button" type="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" type="submit" disabled=${state.busy}>${state.busy ? "Saving …" : "Save limits"}</button>
      </div>
    </form>
  <//>`;
}
