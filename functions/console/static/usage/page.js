/** Usage: what was spent this month, by day, token and connection. For administrators. */

import { get, IMAGES, request } from "../api.js";
import { Chip, Empty, ErrorNote, Loading, Switch } from "../controls.js";
import { formatMonth, formatNumber, formatUsd } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { Icon } from "../icons.js";
import { notify } from "../notices.js";
import { Days } from "./days.js";
import { monthChoices, monthOf, rangeOf } from "./months.js";

/**
 * @typedef {object} Row
 * @property {string} [day]
 * @property {string} [token]
 * @property {string} [token_name]
 * @property {string} [connection]
 * @property {string} [model]
 * @property {number} requests
 * @property {number} images
 * @property {number} failures
 * @property {string} usd
 * @property {string} uncertain_usd
 */

export function Usage() {
  const [month, setMonth] = useState(monthOf(new Date()));
  const [report, setReport] = useState(
    /** @type {{days: Row[], tokens: Row[], servers: Row[], limits: any} | null} */ (null),
  );
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [exact, setExact] = useState(false);
  const { first, last } = rangeOf(month);

  const read = () => {
    setProblem(null);
    setReport(null);
    const rows = (/** @type {string} */ groups) =>
      get(`${IMAGES}/usage?from=${first}&to=${last}&group_by=${groups}`).then((found) => found.rows);
    Promise.all([rows("day"), rows("token"), rows("connection,model"), get(`${IMAGES}/limits`)]).then(
      ([days, tokens, servers, limits]) => setReport({ days, tokens, servers, limits }),
      setProblem,
    );
  };
  useEffect(read, [month]);
  const download = () => downloadCsv(first, last).catch((failed) => notify(failed.message));

  return html`<header class="page-head">
      <h1>Usage</h1>
      <div class="filters">
        <${Chip} label="Month" value=${month} options=${monthChoices(new Date())} onChange=${setMonth} />
        <${Switch} label="To the millionth" checked=${exact} onChange=${setExact} />
        <button class="button" type="button" onClick=${download}><${Icon} name="download" />CSV</button>
      </div>
    </header>
    <${ErrorNote} problem=${problem} onRetry=${read} />
    ${!report && !problem && html`<${Loading} />`}
    ${report && html`<${Report} report=${report} month=${month} exact=${exact} range=${{ first, last }} />`}`;
}

/** @param {{report: any, month: string, exact: boolean, range: {first: string, last: string}}} props */
function Report({ report: { days, tokens, servers, limits }, month, exact, range }) {
  const sum = (/** @type {"usd" | "uncertain_usd" | "images"} */ name) =>
    days.reduce((/** @type {number} */ total, /** @type {Row} */ row) => total + Number(row[name]), 0);
  const budget = limits.budget?.period === "month" && month === monthOf(new Date()) ? Number(limits.budget.usd) : 0;
  const share = budget ? Math.min(1, sum("usd") / budget) : 0;
  if (!days.length) {
    return html`<${Empty} title=${`Nothing was used in ${formatMonth(month)}`} icon="usage"><p class="quiet">Jobs are counted when they have ended.</p><//>`;
  }
  return html`<section class="card stack" aria-label="Spent">
      <p class="total"><span class="large figures">${formatUsd(sum("usd"), exact)}</span>
        <span class="quiet">${budget ? `of ${formatUsd(budget)} this month` : `in ${formatMonth(month)}`}, ${formatNumber(sum("images"))} images</span></p>
      ${budget ? html`<div class=${`meter${share >= 1 ? " full" : ""}`}><span style=${{ width: `${share * 100}%` }}></span></div>` : null}
      ${sum("uncertain_usd") > 0 && html`<p class="quiet small">Failed jobs may have cost ${formatUsd(sum("uncertain_usd"), exact)} more.</p>`}
      <${Days} rows=${days} range=${range} exact=${exact} />
    </section>
    <${Rows} title="Tokens" rows=${tokens} exact=${exact} name="Token" text=${(/** @type {Row} */ row) => row.token_name ?? row.token ?? "revoked"} />
    <${Rows} title="Servers" rows=${servers} exact=${exact} name="Connection and model"
      text=${(/** @type {Row} */ row) => html`${row.connection || "none answered"} <span class="quiet">${row.model ?? ""}</span>`} />`;
}

/** @param {{title: string, rows: Row[], exact: boolean, name: string, text: (row: Row) => any}} props */
function Rows({ title, rows, exact, name, text }) {
  const sorted = [...rows].sort((one, other) => Number(other.usd) - Number(one.usd) || other.requests - one.requests);
  return html`<section class="stack">
    <h2>${title}</h2>
    <div class="scroll-x" tabindex="0" role="region" aria-label=${title}>
      <table class="table">
        <thead><tr><th>${name}</th><th class="money">Jobs</th><th class="money">Images</th><th class="money">Failures</th><th class="money">Cost</th></tr></thead>
        <tbody>${sorted.map(
          (row, index) => html`<tr key=${index}>
            <td>${text(row)}</td><td class="money">${formatNumber(row.requests)}</td><td class="money">${formatNumber(row.images)}</td>
            <td class="money">${formatNumber(row.failures)}</td><td class="money">${formatUsd(row.usd, exact)}</td>
          </tr>`,
        )}</tbody>
      </table>
    </div>
  </section>`;
}

/**
 * @param {string} first
 * @param {string} last
 */
async function downloadCsv(first, last) {
  const path = `${IMAGES}/usage?from=${first}&to=${last}&group_by=day,token,connection,model`;
  const { text } = await request("GET", path, { headers: { Accept: "text/csv" } });
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = `usage-${first}-${last}.csv`;
  anchor.click();
  URL.revokeObjectURL(url);
}
