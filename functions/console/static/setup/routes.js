/** Routes: names that callers use as a model, each with targets that are tried in an order. */

import { Confirm, Empty, ErrorNote, Loading } from "../controls.js";
import { plural } from "../format.js";
import { html, useState } from "../html.js";
import { Icon } from "../icons.js";
import { forgetModels } from "../models.js";
import { notify } from "../notices.js";
import { RouteForm } from "./route_form.js";
import { targetText } from "./targets.js";
import { remove, useListed } from "./versioned.js";

export const STRATEGY = /** @type {Record<string, string>} */ ({
  ordered: "The first target that works",
  weighted: "At random by weight, then the others",
  least_busy: "The one with most free slots, then the others",
});

export function Routes() {
  const { listed, problem, read } = useListed("routes");
  const [edited, setEdited] = useState(/** @type {any} */ (null));
  const [deleted, setDeleted] = useState(/** @type {any} */ (null));
  const onSaved = (/** @type {string} */ name) => {
    setEdited(null);
    forgetModels();
    notify(`${name} is saved. Callers can use it as a model.`);
    read();
  };
  const onDelete = async () => {
    await remove("routes", deleted.name, { before: deleted, etag: listed?.etag ?? "" });
    forgetModels();
    notify(`${deleted.name} is deleted.`);
    read();
  };
  return html`${
    listed?.items.length
      ? html`<div class="row"><button class="button primary" type="button" onClick=${() => setEdited({})}><${Icon} name="plus" />New route</button></div>`
      : null
  }
    <${ErrorNote} problem=${problem} onRetry=${read} />
    ${!listed && !problem && html`<${Loading} />`}
    ${
      listed?.items.length === 0 &&
      html`<${Empty} title="No routes yet" icon="setup">
        <p class="quiet">A route gives servers one name, such as “poster”. If the first server fails or is busy, the next one is asked.</p>
        <button class="button primary" type="button" onClick=${() => setEdited({})}><${Icon} name="plus" />New route</button>
      <//>`
    }
    <div class="sections">
      ${listed?.items.map((route) => html`<${Route} key=${route.name} route=${route} onEdit=${() => setEdited(route)} onDelete=${() => setDeleted(route)} />`)}
    </div>
    ${edited && html`<${RouteForm} route=${edited} etag=${listed?.etag ?? ""} onClose=${() => setEdited(null)} onSaved=${onSaved} />`}
    ${
      deleted &&
      html`<${Confirm} title="Delete this route" action=${`Delete ${deleted.name}`} onConfirm=${onDelete} onClose=${() => setDeleted(null)}>
        <p>Requests for the model <strong>${deleted.name}</strong> will no longer find it. Jobs that were accepted before are still done.</p>
      <//>`
    }`;
}

/** @param {{route: any, onEdit: () => void, onDelete: () => void}} props */
function Route({ route, onEdit, onDelete }) {
  const { name, description, operations, strategy, targets } = route;
  const kinds = operations.length === 2 ? "Generations and edits" : operations[0] === "edit" ? "Edits" : "Generations";
  return html`<section class="card section" aria-label=${name}>
    <div class="section-head">
      <div class="grow">
        <h2>${name}</h2>
        <p class="quiet quoted">${description || kinds}</p>
      </div>
      <div class="row">
        <button class="button" type="button" aria-label=${`Edit ${name}`} onClick=${onEdit}>Edit</button>
        <button class="icon-button" type="button" aria-label=${`Delete ${name}`} title="Delete" onClick=${onDelete}><${Icon} name="clear" /></button>
      </div>
    </div>
    <p class="small quiet">${kinds} · ${plural(targets.length, "target")} · ${STRATEGY[strategy] ?? strategy}</p>
    <ol class="target-list">
      ${targets.map((/** @type {any} */ target, /** @type {number} */ index) => html`<li key=${index}><span class="figures quiet">${index + 1}</span> ${targetText(target)}</li>`)}
    </ol>
  </section>`;
}
