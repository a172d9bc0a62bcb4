/** Usage: what was spent, by day, token and connection. A user's token sees its own. */

import { get, IMAGES } from "../api.js";
import { Chip, Empty, ErrorNote, Field, Loading, Switch } from "../controls.js";
import { html, useEffect, useState } from "../html.js";
import { Details } from "./details.js";
import { EndUsers } from "./end_users.js";
import { dayOf, earliestDay, monthOf, OTHER, periodChoices, rangeOf, rangeWords } from "./periods.js";
import { dearestFirst, GROUPS, grouped, readRows } from "./rows.js";
import { Spent } from "./spent.js";
import { tokenName, UsageTable } from "./tables.js";

/**
 * @typedef {import("./rows.js").Row} Row
 * @typedef {import("./periods.js").Range} Range
 * @typedef {{range: Range, rows: Row[], endUsers: Row[], limits: any}} Report
 */

/** @param {{account: import("../session.js").Account}} props */
export function Usage({ account }) {
  const [now] = useState(() => new Date());
  const [period, setPeriod] = useState(monthOf(now));
  const [range, setRange] = useState(() => rangeOf(period, now));
  const [exact, setExact] = useState(false);
  const isAdmin = account.role === "admin";
  const { report, problem, read } = useReport(range, isAdmin);

  const choose = (/** @type {string} */ chosen) => {
    setPeriod(chosen);
    if (chosen !== OTHER) setRange(rangeOf(chosen, now));
  };
  return html`<header class="page-head">
      <h1>Usage</h1>
      <div class="filters">
        <${Chip} label="Days" value=${period} options=${periodChoices(now)} onChange=${choose} />
        <${Switch} label="To the millionth" checked=${exact} onChange=${setExact} />
      </div>
    </header>
    ${period === OTHER && html`<${OtherDays} range=${range} now=${now} onChange=${setRange} />`}
    <${ErrorNote} problem=${problem} onRetry=${read} />
    ${!report && !problem && html`<${Loading} />`}
    ${report && html`<${Spent} report=${report} isAdmin=${isAdmin} exact=${exact} isThisMonth=${period === monthOf(now)} onChanged=${read} />`}
    ${report && html`<${Tables} report=${report} isAdmin=${isAdmin} exact=${exact} onChanged=${read} />`}`;
}

/**
 * Read the usage of a range, and the limits that count for it: the deployment's, or those of one's own token.
 *
 * @param {Range} range
 * @param {boolean} isAdmin
 */
function useReport(range, isAdmin) {
  const [report, setReport] = useState(/** @type {Report | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    const { signal } = stop;
    setProblem(null);
    setReport(null);
    const limits = isAdmin
      ? get(`${IMAGES}/limits`, { signal })
      : get(`${IMAGES}/account`, { signal }).then((found) => found.limits ?? {});
    Promise.all([readRows(range, GROUPS, signal), readRows(range, ["end_user"], signal), limits]).then(
      ([rows, endUsers, found]) => signal.aborted || setReport({ range, rows, endUsers, limits: found }),
      (failed) => signal.aborted || setProblem(failed),
    );
    return () => stop.abort();
  }, [range, isAdmin, turn]);
  return { report, problem, read: () => setTurn(turn + 1) };
}

/** @param {{range: Range, now: Date, onChange: (range: Range) => void}} props */
function OtherDays({ range, now, onChange }) {
  const set = (/** @type {"first" | "last"} */ name) => (/** @type {any} */ event) => {
    const day = event.target.value;
    // A date that is being typed is empty.
    if (!day || !event.target.validity.valid) return;
    const days = { ...range, [name]: day };
    onChange(days.first > days.last ? { first: day, last: day } : days);
  };
  const input = (/** @type {"first" | "last"} */ name, /** @type {string} */ label) => html`<${Field} label=${label}>
    ${(/** @type {any} */ ids) => html`<input ...${ids} type="date" min=${earliestDay(now)} max=${dayOf(now)} value=${range[name]} onChange=${set(name)} />`}
  <//>`;
  return html`<div class="form-grid range">${input("first", "First day, in UTC")}${input("last", "Last day")}</div>`;
}

/** @param {{report: Report, isAdmin: boolean, exact: boolean, onChanged: () => void}} props */
function Tables({ report: { rows, endUsers, range }, isAdmin, exact, onChanged }) {
  if (!rows.length) {
    return html`<${Empty} title=${`Nothing was used ${rangeWords(range)}`} icon="usage">
      <p class="quiet">Jobs are counted when they have ended.</p>
      <a class="button" href="#/create">Create an image</a>
    <//>`;
  }
  const server = (/** @type {Row} */ row) =>
    html`${row.connection || "none answered"} <span class="quiet">${row.model ?? ""}</span>`;
  return html`${
    isAdmin &&
    html`<section class="stack">
      <h2>Tokens</h2>
      <${UsageTable} title="Tokens" exact=${exact} rows=${dearestFirst(grouped(rows, ["token"]))} columns=${[{ title: "Token", text: tokenName }]} />
    </section>`
  }
    <section class="stack">
      <h2>Servers</h2>
      <${UsageTable} title="Servers" exact=${exact} rows=${dearestFirst(grouped(rows, ["connection", "model"]))}
        columns=${[{ title: "Connection and model", text: server }]} />
    </section>
    <${EndUsers} rows=${endUsers} range=${range} isAdmin=${isAdmin} exact=${exact} onForgotten=${onChanged} />
    <${Details} rows=${rows} range=${range} exact=${exact} withTokens=${isAdmin} />`;
}
