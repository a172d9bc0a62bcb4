/** A job beside the gallery: its images, its request and its attempts. */

import { get, IMAGES } from "../api.js";
import { Dialog, ErrorNote, Loading, State } from "../controls.js";
import { takeInputs } from "../edit/inputs.js";
import { ENGINE, formatClock, formatMoment, formatSeconds, STATUS } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { Icon } from "../icons.js";
import { download } from "../jobs.js";
import { formatUsd } from "../money.js";
import { copy, notify } from "../notices.js";
import { go } from "../router.js";

/** @typedef {import("../jobs.js").Job} Job */

const DOT = /** @type {Record<string, string>} */ ({
  queued: "busy",
  running: "busy",
  succeeded: "good",
  failed: "bad",
  canceled: "idle",
});
const HIDDEN = new Set(["prompt", "response_format"]);

/**
 * @param {{id: string, job?: Job, account: import("../session.js").Account, onClose: () => void, onBeside: (step: number) => void}} props
 */
export function Sheet({ id, job: listed, account, onClose, onBeside }) {
  const [job, setJob] = useState(listed);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  useEffect(() => {
    // Again, for fresh links: the list may be hours old.
    get(`${IMAGES}/jobs/${encodeURIComponent(id)}`).then(setJob, setProblem);
  }, [id]);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "ArrowLeft") onBeside(-1);
    if (event.key === "ArrowRight") onBeside(1);
  };
  return html`<div onKeyDown=${onKeyDown}><${Dialog} kind="sheet" title=${job ? titleOf(job) : "Job"} onClose=${onClose}>
    <${ErrorNote} problem=${problem} />
    ${!job && !problem && html`<${Loading} />`}
    ${job && html`<${Details} job=${job} account=${account} />`}
  <//></div>`;
}

/** @param {Job} job */
const titleOf = (job) => (job.kind === "edit" ? "Edit" : "Generation");

/** @param {{job: Job, account: import("../session.js").Account}} props */
function Details({ job, account }) {
  const use = (/** @type {import("../jobs.js").Image} */ image) => {
    takeInputs([image]);
    go("edit");
  };
  const own = job.owner === undefined || job.owner === account.owner;
  return html`
    ${job.images.map(
      (image) => html`<figure class="sheet-image" key=${image.id}>
      <img src=${image.url} alt=${job.request?.prompt ?? "Image"} width=${image.width} height=${image.height} />
      <figcaption class="row">
        <button class="button" type="button" onClick=${() => use(image)}><${Icon} name="edit" />Use as input</button>
        <button class="button" type="button" onClick=${() => copy(image.url, `Link copied. It works until ${formatClock(image.expires_at)}.`)}>
          <${Icon} name="copy" />Copy link
        </button>
        <button class="button" type="button" onClick=${() => download(image).catch((problem) => notify(problem.message))}>
          <${Icon} name="download" />Download
        </button>
      </figcaption>
      ${image.revised_prompt && html`<p class="quoted small"><strong>Rewritten prompt</strong> ${image.revised_prompt}</p>`}
    </figure>`,
    )}
    ${job.request?.prompt && html`<p class="sheet-prompt quoted">${job.request.prompt}</p>`}
    ${!own && html`<p class="quiet small">The request is shown to its owner only.</p>`}
    ${job.error && html`<${ErrorNote} problem=${job.error} />`}
    ${job.warnings.map((text) => html`<p class="note warn" key=${text}><span class="quoted">${text}</span></p>`)}
    ${job.tried?.length ? html`<${Tried} tried=${job.tried} />` : null}
    <dl class="facts">${facts(job).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** The attempts at a route's targets. @param {{tried: NonNullable<Job["tried"]>}} props */
function Tried({ tried }) {
  return html`<ol class="tried" aria-label="Attempts">
    ${tried.map(
      ({ connection, model, code, milliseconds = 0 }, index) => html`<li key=${index}>
        <span>${connection}${model ? html` <span class="quiet">${model}</span>` : null}</span>
        <${State} state=${code ? "warn" : "good"}>${code || "answered"}${milliseconds ? ` in ${formatSeconds(milliseconds / 1000)}` : ""}<//>
      </li>`,
    )}
  </ol>`;
}

/** @param {NonNullable<Job["cost"]>} cost */
const costWords = ({ usd, basis }) => (basis === "unknown" ? "Not known" : formatUsd(usd, true));

/**
 * @param {Job} job
 * @returns {[string, any][]}
 */
function facts(job) {
  const seconds = job.finished_at ? (Date.parse(job.finished_at) - Date.parse(job.created_at)) / 1000 : null;
  const request = Object.entries(job.request ?? {}).filter(([name, value]) => !HIDDEN.has(name) && value !== null);
  const seeds = job.images.map(({ seed }) => seed).filter((seed) => seed !== undefined);
  return /** @type {[string, any][]} */ ([
    ["State", html`<${State} state=${DOT[job.status]}>${STATUS[job.status]}<//>`],
    ["Requested", formatMoment(job.created_at)],
    ["Took", seconds === null ? null : formatSeconds(Math.max(seconds, 0.1))],
    ["Engine", job.engine ? (ENGINE[job.engine] ?? job.engine) : null],
    ["Connection", job.connection ?? null],
    ["Model", job.model ?? null],
    ["Route", job.route ?? null],
    ["Cost", job.cost ? costWords(job.cost) : null],
    ["May have cost", job.uncertain_usd ? formatUsd(job.uncertain_usd, true) : null],
    ["Attempts", job.attempts || null],
    ["Size", job.images[0]?.width ? `${job.images[0].width} × ${job.images[0].height}` : null],
    ["Seed", seeds.length ? seeds.join(", ") : null],
    ["Owner", job.owner ?? null],
    ["End user", job.end_user ? html`<span class="mono">${job.end_user}</span>` : null],
    ...request.map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]),
    ["Job", html`<code>${job.id}</code>`],
  ]).filter(([, value]) => value !== null);
}
