/** Health: what an operator looks at first. */

import { get, IMAGES } from "./api.js";
import { ErrorNote, Loading, State } from "./controls.js";
import { ENGINE, formatAgo, formatClock, formatMoment, formatNumber, plural } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { link } from "./router.js";

/**
 * @typedef {object} Report
 * @property {string} version
 * @property {{waiting: number, delayed: number, received: number}} queue
 * @property {{id: string, created_at: string, engine?: string, model?: string} | null} oldest_job
 * @property {{waiting: number, kept: number, newest_at: string | null}} dead_letters
 */

/** Seconds after which a job that waits is worth a look. */
const LONG_WAIT = 300;

export function Health() {
  const [report, setReport] = useState(/** @type {Report | null} */ (null));
  const [connections, setConnections] = useState(/** @type {any[]} */ ([]));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [at, setAt] = useState("");
  const read = () => {
    setProblem(null);
    Promise.all([get(`${IMAGES}/health`), get(`${IMAGES}/connections`)]).then(([found, list]) => {
      setReport(found);
      setConnections(list.connections);
      setAt(new Date().toISOString());
    }, setProblem);
  };
  useEffect(read, []);

  return html`<header class="page-head">
      <div>
        <h1>Health</h1>
        <p class="quiet" role="status">${at ? `As of ${formatMoment(at)}, version ${report?.version}` : "Reading …"}</p>
      </div>
      <button class="button" type="button" onClick=${read}><${Icon} name="again" />Look again</button>
    </header>
    <${ErrorNote} problem=${problem} onRetry=${read} />
    ${!report && !problem && html`<${Loading} />`}
    ${
      report &&
      html`<div class="cards">
      <${Queue} report=${report} />
      <${DeadLetters} letters=${report.dead_letters} />
      <${Connections} connections=${connections} />
    </div>`
    }`;
}

/** @param {{connections: any[]}} props */
function Connections({ connections }) {
  const cooling = connections.filter(({ cooling_until: until }) => until && Date.parse(until) > Date.now());
  return html`<section class="card">
    <h2>Connections</h2>
    <p class="large figures">${formatNumber(connections.length)}</p>
    <p><${State} state=${cooling.length ? "warn" : "good"}>${cooling.length ? `${formatNumber(cooling.length)} left alone` : "None is left alone"}<//></p>
    <ul class="connection-list small">
      ${connections.map(
        ({ name, engine, cooling_until: until, cooling_reason: reason }) => html`<li key=${name}>
        <span>${name}</span>
        <span class="quiet">${cooling.some((found) => found.name === name) ? `until ${formatClock(until)}: ${reason}` : ENGINE[engine]}</span>
      </li>`,
      )}
    </ul>
    <p class="quiet small">Routes leave a server alone for a while after it failed repeatedly. <a href="#/setup/connections">Test it</a>.</p>
  </section>`;
}

/** @param {{report: Report}} props */
function Queue({ report: { queue, oldest_job: oldest } }) {
  const all = queue.waiting + queue.delayed + queue.received;
  const age = oldest ? (Date.now() - Date.parse(oldest.created_at)) / 1000 : 0;
  const state = age > LONG_WAIT ? "warn" : all ? "busy" : "good";
  const words = age > LONG_WAIT ? "Jobs wait long" : all ? "At work" : "Nothing waits";
  return html`<section class="card">
    <h2>Queue</h2>
    <p class="large figures">${formatNumber(all)}</p>
    <p><${State} state=${state}>${words}<//></p>
    <dl class="facts">
      <div><dt>Waiting</dt><dd class="figures">${formatNumber(queue.waiting)}</dd></div>
      <div><dt>With a worker</dt><dd class="figures">${formatNumber(queue.received)}</dd></div>
      <div><dt>Later</dt><dd class="figures">${formatNumber(queue.delayed)}</dd></div>
      <div><dt>Oldest job that waits</dt><dd>${oldest ? html`<a href=${link("gallery", oldest.id)}>${formatAgo(oldest.created_at)}</a>` : "None"}</dd></div>
    </dl>
    ${age > LONG_WAIT && html`<p class="quiet">Raise WorkerMaximumConcurrency, or use a faster engine.</p>`}
  </section>`;
}

/** @param {{letters: Report["dead_letters"]}} props */
function DeadLetters({ letters }) {
  const all = letters.waiting + letters.kept;
  return html`<section class="card">
    <h2>Dead letters</h2>
    <p class="large figures">${formatNumber(all)}</p>
    <p><${State} state=${all ? "warn" : "good"}>${all ? `${plural(all, "message")} could not be processed` : "None"}<//></p>
    <dl class="facts">
      <div><dt>Kept in the bucket</dt><dd class="figures">${formatNumber(letters.kept)}</dd></div>
      <div><dt>On their way there</dt><dd class="figures">${formatNumber(letters.waiting)}</dd></div>
      ${letters.newest_at && html`<div><dt>Newest</dt><dd>${formatMoment(letters.newest_at)}</dd></div>`}
    </dl>
    ${all > 0 && html`<p class="quiet">They are under dead-letters/ in the bucket, each with its reason, for 30 days.</p>`}
  </section>`;
}
