/** Connections: servers of engines with their credentials, under names. */

import { IMAGES, post } from "../api.js";
import { Confirm, ErrorNote, Loading, State } from "../controls.js";
import { ENGINE, formatClock, formatNumber } from "../format.js";
import { html, useState } from "../html.js";
import { Icon } from "../icons.js";
import { forgetModels } from "../models.js";
import { notify } from "../notices.js";
import { ConnectionForm } from "./connection_form.js";
import { remove, useListed } from "./versioned.js";

export function Connections() {
  const { listed, problem, read } = useListed("connections");
  const [edited, setEdited] = useState(/** @type {any} */ (null));
  const [deleted, setDeleted] = useState(/** @type {any} */ (null));
  const onSaved = (/** @type {string} */ name) => {
    setEdited(null);
    forgetModels();
    notify(`${name} is saved.`);
    read();
  };
  const onDelete = async () => {
    await remove("connections", deleted.name, { before: deleted, etag: listed?.etag ?? "" });
    notify(`${deleted.name} is deleted.`);
    read();
  };
  return html`<div class="row">
      <button class="button primary" type="button" onClick=${() => setEdited({})}><${Icon} name="plus" />New connection</button>
    </div>
    <${ErrorNote} problem=${problem} onRetry=${read} />
    ${!listed && !problem && html`<${Loading} />`}
    <div class="sections">
      ${listed?.items.map(
        (connection) => html`<${Connection} key=${connection.name} connection=${connection}
        onEdit=${() => setEdited(connection)} onDelete=${() => setDeleted(connection)} />`,
      )}
    </div>
    ${edited && html`<${ConnectionForm} connection=${edited} etag=${listed?.etag ?? ""} onClose=${() => setEdited(null)} onSaved=${onSaved} />`}
    ${
      deleted &&
      html`<${Confirm} title="Delete this connection" action=${`Delete ${deleted.name}`} onConfirm=${onDelete} onClose=${() => setDeleted(null)}>
        <p><strong>${deleted.name}</strong> is deleted with its key. Jobs that were accepted before may fail.</p>
      <//>`
    }`;
}

/** @param {{connection: any, onEdit: () => void, onDelete: () => void}} props */
function Connection({ connection, onEdit, onDelete }) {
  const [checked, setChecked] = useState(/** @type {{busy?: boolean, ms?: number, problem?: any}} */ ({}));
  const {
    name,
    engine,
    base_url: url,
    managed_by: managedBy,
    cooling_until: cooling,
    cooling_reason: reason,
  } = connection;
  const test = () => {
    const started = performance.now();
    setChecked({ busy: true });
    post(`${IMAGES}/connections/${encodeURIComponent(name)}/verify`, {}).then(
      () => setChecked({ ms: Math.round(performance.now() - started) }),
      (problem) => setChecked({ problem }),
    );
  };
  const state = checked.busy
    ? html`<${State} state="busy">Asking the server …<//>`
    : checked.ms !== undefined
      ? html`<${State} state="good">Answers in ${formatNumber(checked.ms)} ms<//>`
      : checked.problem
        ? html`<${State} state="bad">Does not work<//>`
        : cooling
          ? html`<${State} state="warn">Left alone until ${formatClock(cooling)}: ${reason}<//>`
          : html`<${State} state="idle">Not tested<//>`;
  return html`<section class="card section" aria-label=${name}>
    <div class="section-head">
      <div class="grow">
        <h2>${name}</h2>
        <p class="quiet quoted">${ENGINE[engine] ?? engine} at ${url}</p>
      </div>
      <div class="section-state">${state}</div>
      <div class="row">
        <button class="button" type="button" disabled=${checked.busy} aria-label=${`Test ${name}`} onClick=${test}>Test</button>
        ${
          managedBy === "config"
            ? html`<a class="button" href="#/setup/engines" aria-label=${`${name} is set up under Engines`}>Engines</a>`
            : html`<button class="button" type="button" aria-label=${`Edit ${name}`} onClick=${onEdit}>Edit</button>
              <button class="icon-button" type="button" aria-label=${`Delete ${name}`} title="Delete" onClick=${onDelete}><${Icon} name="clear" /></button>`
        }
      </div>
    </div>
    <${ErrorNote} problem=${checked.problem} />
  </section>`;
}
