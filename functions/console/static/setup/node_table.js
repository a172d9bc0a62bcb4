/** What the gateway understands of a workflow, as a table in which each row can be corrected. */

import { State } from "../controls.js";
import { plural } from "../format.js";
import { html } from "../html.js";
import { Icon } from "../icons.js";
import { placeId, placeText, TYPES } from "./workflow_inputs.js";

/** @typedef {import("./workflow_inputs.js").Row} Row */

/**
 * @param {{rows: Row[], inputs: ReturnType<typeof import("./workflow_inputs.js").entriesOf>, onChange: (rows: Row[]) => void}} props
 */
export function NodeTable({ rows, inputs, onChange }) {
  const doubtful = rows.filter(({ sure }) => !sure).length;
  const absent = Object.keys(TYPES).filter((type) => !rows.some((row) => row.type === type));
  const change = (/** @type {number} */ index, /** @type {Row | null} */ row) =>
    onChange(rows.flatMap((found, at) => (at === index ? (row ? [row] : []) : [found])));
  const add = (/** @type {any} */ event) => {
    const type = event.target.value;
    event.target.value = "";
    if (type) onChange([...rows, { type, place: null, sure: true, why: "Added by you", proposed: [] }]);
  };
  return html`<section class="card section" aria-labelledby="node-map">
    <div class="section-head">
      <div class="grow">
        <h2 id="node-map">2. What goes where</h2>
        <p class="quiet">Which input of which node takes what of a request. Everything else stays as the workflow has it.</p>
      </div>
      <div class="section-state">
        ${doubtful ? html`<${State} state="warn">${plural(doubtful, "row")} to check<//>` : html`<${State} state="good">All sure<//>`}
      </div>
    </div>
    <div class="scroll-x" tabindex="0" role="region" aria-label="Node map">
      <table class="table node-map">
        <thead><tr><th>Of the request</th><th>Goes to</th><th>How sure</th><th>Taken from</th><th><span class="visually-hidden">Actions</span></th></tr></thead>
        <tbody>${rows.map(
          (row, index) => html`<${NodeRow} key=${`${row.type} ${index}`} row=${row} inputs=${inputs}
          onChange=${(/** @type {Row | null} */ next) => change(index, next)} />`,
        )}</tbody>
      </table>
    </div>
    ${
      absent.length
        ? html`<label class="add-row"><span class="quiet">Add a row for</span>
            <select onChange=${add}><option value="">choose</option>${absent.map((type) => html`<option key=${type} value=${type}>${TYPES[type]}</option>`)}</select>
          </label>`
        : null
    }
  </section>`;
}

/** @param {{row: Row, inputs: {inputs: any[], outputs: any[]}, onChange: (row: Row | null) => void}} props */
function NodeRow({ row, inputs, onChange }) {
  const proposed = row.proposed.map((place) => ({ ...place, label: placeText(place) }));
  const all = row.type === "output" ? inputs.outputs : inputs.inputs;
  const known = new Set(proposed.map(placeId));
  const others = all.filter((place) => !known.has(placeId(place)));
  const value = row.place ? placeId(row.place) : "";
  const choose = (/** @type {any} */ event) => {
    const chosen = event.target.value;
    const place = [...proposed, ...others].find((found) => placeId(found) === chosen) ?? null;
    const why = proposed.find((found) => placeId(found) === chosen)?.why ?? "Chosen by you";
    onChange({ ...row, place: place && { key: place.key, node_ids: place.node_ids }, sure: true, why });
  };
  const label = TYPES[row.type] ?? row.type;
  const named = (/** @type {any[]} */ choices) =>
    choices.map(
      (place) =>
        html`<option key=${placeId(place)} value=${placeId(place)} selected=${placeId(place) === value}>${labelOf(place, inputs)}</option>`,
    );
  return html`<tr class=${row.sure ? "" : "doubtful"}>
    <th scope="row">${label}</th>
    <td><select aria-label=${`${label} goes to`} value=${value} onChange=${choose}>
      ${proposed.length ? html`<optgroup label="Proposed">${named(proposed)}</optgroup>` : null}
      <option value="" selected=${!value}>Nothing: as the workflow has it</option>
      <optgroup label="Other inputs">${named(others)}</optgroup>
    </select></td>
    <td>${row.sure ? html`<${State} state="good">Sure<//>` : html`<${State} state="warn">Check<//>`}</td>
    <td class="quiet small quoted">${row.why}</td>
    <td class="end">${
      row.sure
        ? null
        : html`<button class="button small" type="button" aria-label=${`${label} is right`} onClick=${() => onChange({ ...row, sure: true })}>
            <${Icon} name="check" size="16" />Right
          </button>`
    }</td>
  </tr>`;
}

/**
 * Return the text of a choice: the title of its node if it has one node, else the ids.
 *
 * @param {any} place
 * @param {{inputs: any[], outputs: any[]}} inputs
 */
function labelOf(place, { inputs, outputs }) {
  return [...inputs, ...outputs].find((known) => placeId(known) === placeId(place))?.label ?? placeText(place);
}
