/** A job as a card: its place while it waits, then its images with what can be done with them. */

import { ErrorNote } from "./controls.js";
import { Elapsed } from "./elapsed.js";
import { ENGINE, formatClock, formatSeconds } from "./format.js";
import { html, useLayoutEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";
import { cancel, dismiss, download, hasEnded } from "./jobs.js";
import { formatUsd, microsOf } from "./money.js";
import { copy, notify } from "./notices.js";
import { link } from "./router.js";

/** @typedef {import("./jobs.js").Entry} Entry */
/** @typedef {import("./jobs.js").Image} Image */

/**
 * @typedef {object} Actions what the page can do with an image; the button is left out where there is none
 * @property {(image: Image) => void} [onUse]
 * @property {(image: Image) => void} [onCompare]
 * @property {(entry: Entry) => void} [onAgain]
 */

/** @param {{entry: Entry} & Actions} props */
export function JobCard({ entry, ...actions }) {
  const { job } = entry;
  const failed = entry.problem ?? (job?.status === "failed" ? job.error : null);
  const waits = !failed && (!job || !hasEnded(job));
  const prompt = entry.body.prompt ?? "";
  return html`<article class="job" aria-label=${prompt || "Job"} data-status=${job?.status ?? "sent"}>
    ${waits && html`<${Placeholders} entry=${entry} />`}
    ${
      job?.images.length
        ? html`<div class="job-images" data-count=${Math.min(job.images.length, 3)}>
      ${job.images.map((image) => html`<${JobImage} key=${image.id} image=${image} entry=${entry} ...${actions} />`)}
    </div>`
        : null
    }
    ${failed && html`<${ErrorNote} problem=${failed} />`}
    ${job?.status === "canceled" && html`<p class="job-ended" style=${{ aspectRatio: entry.ratio }}>Canceled</p>`}
    <div class="job-text">
      <p class="job-prompt">${prompt || "Without a prompt"}</p>
      ${waits ? html`<${Waiting} entry=${entry} />` : html`<${Facts} entry=${entry} failed=${failed} ...${actions} />`}
      ${[...new Set(job?.warnings ?? [])].map(
        (text) => html`<p class="job-warning" key=${text}>
        <${Icon} name="warning" size="16" /><span>${text}</span>
      </p>`,
      )}
    </div>
  </article>`;
}

/** @param {{entry: Entry}} props */
function Placeholders({ entry }) {
  const count = Math.max(1, Number(entry.body.n ?? 1));
  return html`<div class="job-images" data-count=${Math.min(count, 3)} aria-hidden="true">
    ${Array.from({ length: count }, (_, index) => html`<div class="placeholder" key=${index} style=${{ aspectRatio: entry.ratio }} />`)}
  </div>`;
}

/** @param {{entry: Entry}} props */
function Waiting({ entry }) {
  const [asked, setAsked] = useState(false);
  const engine = ENGINE[entry.job?.engine ?? ""] ?? "the engine";
  const text = !entry.job ? "Sending" : entry.job.status === "queued" ? "Waits in the queue" : `Waits for ${engine}`;
  const onCancel = () => {
    setAsked(true);
    cancel(entry).finally(() => setAsked(false));
  };
  return html`<p class="job-facts" role="status">
    <span>${text}</span><${Elapsed} since=${entry.sentAt} />
    ${entry.job && html`<button class="button small" type="button" disabled=${asked} onClick=${onCancel}>Cancel</button>`}
  </p>`;
}

/** @param {{entry: Entry, failed: any} & Actions} props */
function Facts({ entry, failed, onAgain }) {
  const uncertain = microsOf(entry.job?.uncertain_usd);
  const facts = failed ? [] : factsOf(entry.job);
  if (uncertain > 0n) facts.push(`may have cost ${formatUsd(uncertain)}`);
  // The same request would be refused again, until the budget renews or is raised.
  const isOverBudget = failed?.code === "budget_exceeded";
  return html`<p class="job-facts">
    <span class="figures">
      ${facts.map((fact) => html`<span class="fact" key=${fact}>${fact}</span>`)}
    </span>
    ${isOverBudget && html`<a class="button small" href=${link("usage")}>See usage</a>`}
    ${
      onAgain &&
      !isOverBudget &&
      html`<button class="button small" type="button" onClick=${() => onAgain(entry)} title=${againWords(failed, uncertain > 0n)}>
        <${Icon} name="again" size="16" />Again
      </button>`
    }
    ${failed && html`<button class="button small" type="button" onClick=${() => dismiss(entry.key)}>Dismiss</button>`}
  </p>`;
}

/**
 * @param {any} failed
 * @param {boolean} isUncertain
 */
function againWords(failed, isUncertain) {
  if (isUncertain) return "Send the same request again. It is charged again";
  return failed ? "Send the same request again" : "The same request with another seed";
}

/**
 * Return what made the images, and how: the connection and the model, the time that it took, the size and the cost.
 *
 * @param {import("./jobs.js").Job | null} job
 * @returns {string[]}
 */
function factsOf(job) {
  if (!job) return [];
  const took = job.started_at && job.finished_at ? Date.parse(job.finished_at) - Date.parse(job.started_at) : null;
  const [image] = job.images;
  const facts = [
    job.connection ?? ENGINE[job.engine ?? ""],
    job.model,
    took === null ? null : formatSeconds(Math.max(took, 100) / 1000),
    image?.width ? `${image.width} × ${image.height}` : null,
    microsOf(job.cost?.usd) > 0n ? formatUsd(microsOf(job.cost?.usd)) : null,
  ];
  return /** @type {string[]} */ (facts.filter(Boolean));
}

/** @param {{image: Image, entry: Entry} & Actions} props */
function JobImage({ image, entry, onUse, onCompare }) {
  const [state, setState] = useState("loading");
  const ratio = image.width && image.height ? image.width / image.height : entry.ratio;
  const prompt = entry.body.prompt || "Image";
  return html`<figure class=${`job-image ${state}`} style=${{ aspectRatio: ratio }}>
    <img src=${image.url} alt=${prompt} decoding="async" onLoad=${() => setState("shown")} onError=${() => setState("missing")} />
    ${state === "missing" && html`<p class="job-ended">Its link has expired. Find it in the gallery.</p>`}
    <figcaption class="actions">
      ${onCompare && entry.original && html`<${Action} icon="compare" label="Compare with the original" onClick=${() => onCompare(image)} />`}
      ${onUse && html`<${Action} icon="edit" label="Use as input" onClick=${() => onUse(image)} />`}
      <${Action} icon="copy" label="Copy link"
        onClick=${() => copy(image.url, `Link copied. It works until ${formatClock(image.expires_at)}.`)} />
      <${Action} icon="download" label="Download"
        onClick=${() => download(image).catch((problem) => notify(problem.message))} />
    </figcaption>
  </figure>`;
}

/** @param {{icon: string, label: string, onClick: () => void}} props */
export function Action({ icon, label, onClick }) {
  return html`<button class="icon-button over" type="button" aria-label=${label} title=${label} onClick=${onClick}>
    <${Icon} name=${icon} />
  </button>`;
}

/**
 * Cards in columns, each as high as it needs. Their order is that of the keyboard, and none moves when an image arrives.
 *
 * @param {{entries: Entry[]} & Actions} props
 */
export function JobCards({ entries, ...actions }) {
  return html`<div class="jobs">
    ${entries.map((entry) => html`<${Cell} key=${entry.key}><${JobCard} entry=${entry} ...${actions} /><//>`)}
  </div>`;
}

/** Rows of the grid are 8 pixels high, and between cards there are 16. */
const ROW = 8;
const GAP = 16;

/** A place in the grid that is as high as its card. @param {{children: any}} props */
function Cell({ children }) {
  const card = useRef(/** @type {HTMLElement | null} */ (null));
  const [rows, setRows] = useState(1);
  useLayoutEffect(() => {
    const element = /** @type {HTMLElement} */ (card.current);
    const measure = () => setRows(Math.ceil((element.offsetHeight + GAP) / ROW));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return html`<div style=${{ gridRowEnd: `span ${rows}` }}><div ref=${card}>${children}</div></div>`;
}
