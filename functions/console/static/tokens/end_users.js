/** Whether a token may say who its end users are, and what each of them may spend. */

import { BudgetInputs, budgetOf, budgetTexts } from "../budgets.js";
import { Switch } from "../controls.js";
import { html, useId } from "../html.js";
import { shortUsd } from "../money.js";
import { errorOf } from "../setup/entry.js";

/** @typedef {{forwards: boolean, budget: import("../budgets.js").BudgetTexts}} EndUserChoices */

/** @type {EndUserChoices} */
export const NO_END_USERS = { forwards: false, budget: budgetTexts() };

/**
 * @param {any} token
 * @returns {EndUserChoices}
 */
export const endUserChoices = ({ forwards_users: forwards, end_user_budget: budget }) => ({
  forwards: Boolean(forwards),
  budget: budgetTexts(budget ? { ...budget, usd: shortUsd(budget.usd) } : null),
});

/**
 * Return the fields of a token as the API takes them.
 *
 * @param {EndUserChoices} choices
 */
export const endUserFields = ({ forwards, budget }) => ({
  forwards_users: forwards,
  end_user_budget: budgetOf(budget),
});

/** @param {{choices: EndUserChoices, problem?: any, onChange: (choices: EndUserChoices) => void}} props */
export function EndUserInputs({ choices, problem, onChange }) {
  const id = useId();
  const onForwards = (/** @type {boolean} */ forwards) => onChange({ ...choices, forwards });
  return html`<div class="field wide">
      <${Switch} label="Forwards end users" checked=${choices.forwards} describedBy=${id} onChange=${onForwards} />
      <p class="hint" id=${id}>For a chat front end that many people use, such as Open WebUI: the gateway believes whom it says that a request is for.</p>
    </div>
    ${
      choices.forwards &&
      html`<div class="form-grid">
        <${BudgetInputs} label="Budget of each end user" periodLabel="Its period" texts=${choices.budget} error=${errorOf(problem, "end_user_budget")}
          onChange=${(/** @type {any} */ budget) => onChange({ ...choices, budget })} />
      </div>`
    }`;
}
