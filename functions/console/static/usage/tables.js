/** Tables of usage, with their sums. */

import { formatNumber } from "../format.js";
import { html, useState } from "../html.js";
import { formatUsd } from "../money.js";
import { sumOf } from "./rows.js";

/**
 * @typedef {import("./rows.js").Row} Row
 * @typedef {{title: string, text: (row: Row) => any}} Column
 */

const PAGE = 200;

/** The name of a row's token, or of what else the jobs came from. @param {Row} row */
export function tokenName({ token = "", token_name: name }) {
  if (name !== undefined) return name;
  if (token.includes(":")) return `Requests by ${token.replace(":", " ")}`;
  return html`Revoked <code class="quiet">${token}</code>`;
}

/**
 * @param {{title: string, columns: Column[], rows: Row[], exact: boolean, action?: (row: Row) => any}} props
 */
export function UsageTable({ title, columns, rows, exact, action }) {
  const [shown, setShown] = useState(PAGE);
  return html`<div class="scroll-x" tabindex="0" role="region" aria-label=${title}>
      <table class="table usage-table">
        <thead><tr>
          ${columns.map((column) => html`<th key=${column.title} scope="col">${column.title}</th>`)}
          ${["Jobs", "Images", "Cost"].map((name) => html`<th key=${name} scope="col" class="money">${name}</th>`)}
          ${action && html`<th scope="col"><span class="visually-hidden">Actions</span></th>`}
        </tr></thead>
        <tbody>${rows.slice(0, shown).map(
          (row, index) => html`<tr key=${index}>
            ${columns.map((column) => html`<td key=${column.title}>${column.text(row)}</td>`)}
            <${Numbers} row=${row} exact=${exact} />
            ${action && html`<td class="end">${action(row)}</td>`}
          </tr>`,
        )}</tbody>
        <tfoot><tr>
          <th scope="row" colspan=${columns.length}>Total</th>
          <${Numbers} row=${sumOf(rows)} exact=${exact} />
          ${action && html`<td></td>`}
        </tr></tfoot>
      </table>
    </div>
    ${rows.length > shown && html`<button class="button" type="button" onClick=${() => setShown(shown + PAGE)}>Show more</button>`}`;
}

/** The numbers of a row. Failures and what they may have cost are below what they belong to. @param {{row: Row, exact: boolean}} props */
function Numbers({ row, exact }) {
  return html`<td class="money">${formatNumber(row.requests)}${row.failures > 0 && html`<span class="block quiet small">${formatNumber(row.failures)} failed</span>`}</td>
    <td class="money">${formatNumber(row.images)}</td>
    <td class="money">${formatUsd(row.spent, exact)}${row.uncertain > 0n && html`<span class="block quiet small">+ ${formatUsd(row.uncertain, exact)} uncertain</span>`}</td>`;
}
