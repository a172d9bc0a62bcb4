/** The usage by what is chosen, on the page and as a CSV file. */

import { formatDay } from "../format.js";
import { html, useState } from "../html.js";
import { CsvButton } from "./csv.js";
import { GROUPS, grouped } from "./rows.js";
import { tokenName, UsageTable } from "./tables.js";

/**
 * @typedef {import("./rows.js").Row} Row
 * @typedef {import("./rows.js").Group} Group
 * @typedef {import("./periods.js").Range} Range
 */

const COLUMNS = /** @type {Record<string, import("./tables.js").Column>} */ ({
  day: { title: "Day", text: ({ day = "" }) => html`<span class="figures">${formatDay(day)}</span>` },
  token: { title: "Token", text: tokenName },
  connection: {
    title: "Connection",
    text: ({ connection }) => connection || html`<span class="quiet">none answered</span>`,
  },
  model: { title: "Model", text: ({ model }) => model },
});

/** The column of one row for everything. @type {import("./tables.js").Column} */
const ALL = { title: "Everything", text: () => "" };

/** @param {{rows: Row[], range: Range, exact: boolean, withTokens: boolean}} props */
export function Details({ rows, range, exact, withTokens }) {
  const [chosen, setChosen] = useState(/** @type {Group[]} */ (["day"]));
  const offered = GROUPS.filter((name) => withTokens || name !== "token");
  const groups = offered.filter((name) => chosen.includes(name));
  const toggle = (/** @type {Group} */ name) =>
    setChosen(chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name]);
  return html`<section class="stack">
    <div class="page-head">
      <h2>Details</h2>
      <${CsvButton} range=${range} groups=${groups} />
    </div>
    <fieldset class="choices">
      <legend class="visually-hidden">A row for each</legend>
      ${offered.map(
        (name) => html`<label class="choice" key=${name}>
          <input type="checkbox" checked=${groups.includes(name)} onChange=${() => toggle(name)} /><span>${COLUMNS[name].title}</span>
        </label>`,
      )}
    </fieldset>
    <${UsageTable} title="Details" exact=${exact} rows=${grouped(rows, groups)} columns=${groups.length ? groups.map((name) => COLUMNS[name]) : [ALL]} />
  </section>`;
}
