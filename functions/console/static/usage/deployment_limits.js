/** The dialog of the deployment's own limits, so that a stolen token cannot empty the account. */

import { IMAGES, request } from "../api.js";
import { BudgetInputs, budgetOf, budgetTexts } from "../budgets.js";
import { Dialog, ErrorNote, Field } from "../controls.js";
import { html, useState } from "../html.js";
import { Icon } from "../icons.js";
import { shortUsd } from "../money.js";
import { errorOf } from "../setup/entry.js";
import { Overtaken } from "../setup/overtaken.js";
import { LimitInputs, limitsOf, textsOf } from "../tokens/limits.js";

const PATH = `${IMAGES}/limits`;

/** @typedef {{source: string, texts: import("../budgets.js").BudgetTexts}} EventBudget */

/** @param {{limits: any, onClose: () => void, onSaved: () => void}} props */
export function DeploymentLimits({ limits, onClose, onSaved }) {
  const [base, setBase] = useState(storedOf(limits));
  const [texts, setTexts] = useState(textsOf(limits));
  const [unknown, setUnknown] = useState(limits.unknown_price);
  const [events, setEvents] = useState(eventsOf(limits));
  const [state, setState] = useState(/** @type {{busy?: boolean, problem?: any, theirs?: any}} */ ({}));

  const send = async (/** @type {any} */ before) => {
    const named = events.filter(({ source }) => source.trim());
    const budgets = named.map(({ source, texts: amount }) => [source.trim(), budgetOf(amount)]);
    const body = {
      ...limitsOf(texts),
      unknown_price: unknown,
      events: Object.fromEntries(budgets.filter(([, budget]) => budget)),
    };
    setState({ busy: true });
    try {
      const theirs = await put(body, before);
      if (!theirs) return onSaved();
      setState({ theirs });
    } catch (problem) {
      setState({ problem });
    }
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    send(base);
  };
  const takeTheirs = () => {
    setBase(storedOf(state.theirs));
    setTexts(textsOf(state.theirs));
    setUnknown(state.theirs.unknown_price);
    setEvents(eventsOf(state.theirs));
    setState({});
  };
  const saveMine = () => {
    const theirs = storedOf(state.theirs);
    setBase(theirs);
    send(theirs);
  };

  return html`<${Dialog} title="Limits of the deployment" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p class="quiet">For all tokens together. Changed limits hold at once, the first ones within a minute.</p>
      <${LimitInputs} texts=${texts} problem=${state.problem} onChange=${setTexts} />
      <${Field} label="Requests without a known price" hint="Where a budget counts for them.">
        ${(
          /** @type {any} */ ids,
        ) => html`<select ...${ids} value=${unknown} onChange=${(/** @type {any} */ event) => setUnknown(event.target.value)}>
          <option value="zero" selected=${unknown === "zero"}>count as free</option>
          <option value="refuse" selected=${unknown === "refuse"}>are refused</option>
        </select>`}
      <//>
      <${EventBudgets} events=${events} problem=${state.problem} onChange=${setEvents} />
      ${state.theirs && html`<${Overtaken} name="the limits" theirs=${storedOf(state.theirs)} before=${{ ...base, name: "limits" }} onTheirs=${takeTheirs} onMine=${saveMine} />`}
      <${ErrorNote} problem=${state.problem} />
      <div class="row end">
        <button class="button" type="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" type="submit" disabled=${state.busy || state.theirs}>${state.busy ? "Saving …" : "Save limits"}</button>
      </div>
    </form>
  <//>`;
}

/** @param {{events: EventBudget[], problem: any, onChange: (events: EventBudget[]) => void}} props */
function EventBudgets({ events, problem, onChange }) {
  const change = (/** @type {number} */ index, /** @type {Partial<EventBudget>} */ changes) =>
    onChange(events.map((event, at) => (at === index ? { ...event, ...changes } : event)));
  return html`<fieldset class="stack tight">
    <legend>Budgets of events</legend>
    <p class="hint">Requests by message or file have no token. A source is sqs, s3, or the source of events of EventBridge.</p>
    ${events.map(
      ({ source, texts }, index) => html`<div class="event-budget" key=${index}>
        <${Field} label="Source">
          ${(
            /** @type {any} */ ids,
          ) => html`<input ...${ids} required=${texts.usd.trim() !== ""} value=${source} autocomplete="off" spellcheck=${false} maxlength="256"
            onInput=${(/** @type {any} */ event) => change(index, { source: event.target.value })} />`}
        <//>
        <${BudgetInputs} label="US dollars" hint="" texts=${texts} error=${errorOf(problem, `events.${source.trim()}`)}
          onChange=${(/** @type {any} */ changed) => change(index, { texts: changed })} />
        <button class="icon-button" type="button" aria-label=${`Remove the budget of ${source || "a source"}`} title="Remove"
          onClick=${() => onChange(events.filter((_, at) => at !== index))}><${Icon} name="clear" /></button>
      </div>`,
    )}
    <p><button class="button small" type="button" onClick=${() => onChange([...events, { source: "", texts: budgetTexts() }])}>
      <${Icon} name="plus" size="16" />Add a source
    </button></p>
  </fieldset>`;
}

/**
 * Store limits in place of those before, unless somebody else has changed them meanwhile.
 *
 * @param {any} body
 * @param {any} before
 * @returns {Promise<any>} what somebody else has stored; null if the limits are stored
 */
async function put(body, before) {
  const { data, headers } = await request("GET", PATH);
  if (JSON.stringify(storedOf(data)) !== JSON.stringify(before)) return data;
  await request("PUT", PATH, { body, headers: { "If-Match": headers.get("etag") ?? "" } });
  return null;
}

/**
 * Return what is set of the limits, without what they leave.
 *
 * @param {any} limits
 */
function storedOf({ budget, requests_per_minute, max_jobs, unknown_price, events }) {
  const budgets = Object.entries(events ?? {}).map(([source, state]) => [source, state.budget]);
  return { budget, requests_per_minute, max_jobs, unknown_price, events: Object.fromEntries(budgets) };
}

/**
 * @param {any} limits
 * @returns {EventBudget[]}
 */
const eventsOf = ({ events }) =>
  Object.entries(events ?? {}).map(([source, { budget }]) => ({
    source,
    texts: budgetTexts({ ...budget, usd: shortUsd(budget.usd) }),
  }));
