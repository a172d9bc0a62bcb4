/** Gallery: the account's jobs, the newest first. */

import { Chip, Empty, ErrorNote, Loading, Switch } from "../controls.js";
import { STATUS } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Icon } from "../icons.js";
import { go, link, replace } from "../router.js";
import { useStore } from "../store.js";
import { chosen, NO_FILTERS, readPage } from "./list.js";
import { Sheet } from "./sheet.js";

/** @typedef {import("./list.js").Filters} Filters */
/** @typedef {import("../jobs.js").Job} Job */

const AGES = [
  { value: "", label: "Any time" },
  { value: "1", label: "Last day" },
  { value: "7", label: "Last week" },
  { value: "30", label: "Last month" },
];

/** @param {{account: import("../session.js").Account, parts: string[]}} props */
export function Gallery({ account, parts }) {
  const filters = useStore(chosen);
  const { jobs, state, problem, more } = useJobs(filters, account.owner);
  const models = useRef(/** @type {Set<string>} */ (new Set()));
  for (const { model } of jobs) if (model) models.current.add(model);
  const set = (/** @type {Partial<Filters>} */ changes) => chosen.set({ ...filters, ...changes });
  const filtered = filters.status || filters.model || filters.days || filters.endUser;
  const shown = jobs.find(({ id }) => id === parts[0]);
  const beside = (/** @type {number} */ step) => {
    const next = jobs[jobs.findIndex(({ id }) => id === parts[0]) + step];
    if (next) replace("gallery", next.id);
  };

  return html`<header class="page-head">
      <h1>Gallery</h1>
      <div class="filters">
        <${Chip} label="State" value=${filters.status} on=${filters.status} onChange=${(/** @type {string} */ status) => set({ status })}
          options=${[{ value: "", label: "Any state" }, ...Object.entries(STATUS).map(([value, label]) => ({ value, label }))]} />
        <${Chip} label="Model" value=${filters.model} on=${filters.model} onChange=${(/** @type {string} */ model) => set({ model })}
          options=${[{ value: "", label: "Any model" }, ...[...models.current].sort().map((name) => ({ value: name, label: name }))]} />
        <${Chip} label="Age" value=${filters.days} on=${filters.days} options=${AGES} onChange=${(/** @type {string} */ days) => set({ days })} />
        ${
          filters.endUser &&
          html`<button class="chip on" type="button" title="Show all end users" onClick=${() => set({ endUser: "" })}>
            <span class="chip-text">For ${filters.endUser}</span><${Icon} name="close" size="16" />
          </button>`
        }
        ${
          account.role === "admin" &&
          html`<${Switch} label="All owners" checked=${filters.everyone}
          onChange=${(/** @type {boolean} */ everyone) => set({ everyone })} />`
        }
        ${filtered && html`<button class="button quiet" type="button" onClick=${() => chosen.set({ ...NO_FILTERS, everyone: filters.everyone })}>Clear</button>`}
      </div>
    </header>
    <${ErrorNote} problem=${problem} onRetry=${more} />
    ${jobs.length > 0 && html`<ul class="grid" aria-label="Jobs">${jobs.map((job) => html`<${Tiles} key=${job.id} job=${job} />`)}</ul>`}
    ${state === "reading" && html`<${Loading} />`}
    ${state === "ended" && !jobs.length && html`<${NoJobs} filtered=${filtered} />`}
    ${state === "more" && html`<${Further} onSeen=${more} />`}
    ${
      parts[0] &&
      html`<${Sheet} key=${parts[0]} id=${parts[0]} job=${shown} account=${account} onBeside=${beside}
      onClose=${() => replace("gallery")} />`
    }`;
}

/**
 * Read page after page.
 *
 * @param {Filters} filters
 * @param {string} owner
 */
function useJobs(filters, owner) {
  const [list, setList] = useState({
    jobs: /** @type {Job[]} */ ([]),
    state: "reading",
    problem: /** @type {any} */ (null),
  });
  const reading = useRef({ cursor: /** @type {string | null} */ (null), stop: new AbortController() });

  const more = () => {
    const { cursor, stop } = reading.current;
    setList((now) => ({ ...now, state: "reading", problem: null }));
    readPage(filters, owner, cursor, stop.signal).then(
      (page) => {
        if (stop.signal.aborted) return;
        reading.current.cursor = page.cursor;
        setList((now) => {
          const known = new Set(now.jobs.map(({ id }) => id));
          const jobs = [...now.jobs, ...page.jobs.filter(({ id }) => !known.has(id))];
          return { jobs, state: page.cursor ? "more" : "ended", problem: null };
        });
      },
      (problem) => stop.signal.aborted || setList((now) => ({ ...now, state: "failed", problem })),
    );
  };
  useEffect(() => {
    reading.current = { cursor: null, stop: new AbortController() };
    setList({ jobs: [], state: "reading", problem: null });
    more();
    return () => reading.current.stop.abort();
  }, [filters, owner]);
  return { ...list, more };
}

/** @param {{job: Job}} props */
function Tiles({ job }) {
  const label = job.request?.prompt ?? `${STATUS[job.status]} ${job.kind}`;
  if (!job.images.length) {
    return html`<li><a class=${`tile ended ${job.status}`} href=${link("gallery", job.id)} onClick=${open} aria-label=${`${STATUS[job.status]}: ${label}`}>
      <${Icon} name=${job.status === "failed" ? "warning" : job.status === "canceled" ? "close" : "create"} />
      <span>${STATUS[job.status]}</span>
    </a></li>`;
  }
  return job.images.map(
    (image) => html`<li key=${image.id}><a class="tile" href=${link("gallery", job.id)} onClick=${open}>
    <img src=${image.url} alt=${label} loading="lazy" decoding="async" />
  </a></li>`,
  );
}

/** Keep the grid where it is. @param {any} event */
function open(event) {
  event.preventDefault();
  go("gallery", event.currentTarget.hash.split("/").pop());
}

/** Reads on when the end of the list comes into view. @param {{onSeen: () => void}} props */
function Further({ onSeen }) {
  const end = useRef(null);
  useEffect(() => {
    const observer = new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && onSeen(), {
      rootMargin: "600px",
    });
    observer.observe(/** @type {any} */ (end.current));
    return () => observer.disconnect();
  }, []);
  return html`<div class="further" ref=${end}><button class="button" type="button" onClick=${onSeen}>Show more</button></div>`;
}

/** @param {{filtered: any}} props */
function NoJobs({ filtered }) {
  if (filtered)
    return html`<${Empty} title="Nothing matches" icon="gallery"><p class="quiet">Choose other filters, or clear them.</p><//>`;
  return html`<${Empty} title="No images yet" icon="gallery">
    <p class="quiet">What you create is kept here, for as long as the deployment keeps images.</p>
    <a class="button primary" href="#/create">Create an image</a>
  <//>`;
}
