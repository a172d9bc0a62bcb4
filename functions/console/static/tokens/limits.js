/** Limits of a token: how much it may spend, and how often and how many at once it may ask. */

import { IMAGES, request } from "../api.js";
import { Dialog, ErrorNote, Field } from "../controls.js";
import { formatNumber, formatUsd } from "../format.js";
import { html, useState } from "../html.js";

/** @typedef {{usd: string, period: string, perMinute: string, jobs: string}} LimitTexts an empty text is no limit */

export const NO_LIMITS = { usd: "", period: "month", perMinute: "", jobs: "" };
const PERIODS = /** @type {Record<string, string>} */ ({ day: "a day", month: "a month", total: "in all" });

/**
 * @param {any} token
 * @returns {LimitTexts}
 */
export const textsOf = ({ budget, requests_per_minute: perMinute, max_jobs: jobs }) => ({
  usd: budget ? String(Number(budget.usd)) : "",
  period: budget?.period ?? "month",
  perMinute: perMinute ? String(perMinute) : "",
  jobs: jobs ? String(jobs) : "",
});

/**
 * Return the limits as the API has them; null is no limit.
 *
 * @param {LimitTexts} texts
 */
export const limitsOf = ({ usd, period, perMinute, jobs }) => ({
  budget: usd.trim() ? { usd: usd.trim(), period } : null,
  requests_per_minute: perMinute ? Number(perMinute) : null,
  max_jobs: jobs ? Number(jobs) : null,
});

/**
 * Return the limits in words, and what is left.
 *
 * @param {any} token
 * @returns {string[]}
 */
export function limitWords({ budget, remaining_usd: left, requests_per_minute: perMinute, max_jobs: jobs }) {
  return /** @type {string[]} */ (
    [
      budget && `${formatUsd(budget.usd)} ${PERIODS[budget.period]}`,
      budget && left !== null && left !== undefined && `${formatUsd(left)} left`,
      perMinute && `${formatNumber(perMinute)} a minute`,
      jobs && `${formatNumber(jobs)} at once`,
    ].filter(Boolean)
  );
}

/** @param {{texts: LimitTexts, onChange: (texts: LimitTexts) => void}} props */
export function LimitInputs({ texts, onChange }) {
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) =>
    onChange({ ...texts, [name]: event.target.value });
  return html`<div class="form-grid">
    <${Field} label="Budget in US dollars" hint="Empty: any amount.">
      ${(/** @type {any} */ ids) => html`<input ...${ids} type="number" min="0" step="any" value=${texts.usd} onInput=${set("usd")} />`}
    <//>
    <${Field} label="Period">
      ${(/** @type {any} */ ids) => html`<select ...${ids} value=${texts.period} onChange=${set("period")}>
        ${Object.entries(PERIODS).map(([value, label]) => html`<option key=${value} value=${value} selected=${value === texts.period}>${label}</option>`)}
      </select>`}
    <//>
    <${Field} label="Requests a minute" hint="Empty: any number.">
      ${(/** @type {any} */ ids) => html`<input ...${ids} type="number" min="1" value=${texts.perMinute} onInput=${set("perMinute")} />`}
    <//>
    <${Field} label="Jobs at once" hint="Queued and running. Empty: any number.">
      ${(/** @type {any} */ ids) => html`<input ...${ids} type="number" min="1" value=${texts.jobs} onInput=${set("jobs")} />`}
    <//>
  </div>`;
}

/** @param {{token: any, onClose: () => void, onSaved: (token: any) => void}} props */
export function LimitDialog({ token, onClose, onSaved }) {
  const [texts, setTexts] = useState(textsOf(token));
  const [state, setState] = useState(/** @type {{busy?: boolean, problem?: any}} */ ({}));
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ busy: true });
    request("PATCH", `${IMAGES}/tokens/${token.id}`, { body: limitsOf(texts) }).then(
      ({ data }) => onSaved(data),
      (problem) => setState({ problem }),
    );
  };
  return html`<${Dialog} title=${`Limits of ${token.name}`} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${LimitInputs} texts=${texts} onChange=${setTexts} />
      <p class="quiet small">What a token may use is chosen when it is made. These limits hold at once, a token’s first ones within a minute.</p>
      <${ErrorNote} problem=${state.problem} />
      <div class="row end">
        <button class="button" type="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" type="submit" disabled=${state.busy}>Save limits</button>
      </div>
    </form>
  <//>`;
}
