/** The dialog that makes or changes a route. */

import { Dialog, Field } from "../controls.js";
import { html, useEffect, useState } from "../html.js";
import { STRATEGY } from "./routes.js";
import { SavingEnd, useSaving } from "./saving.js";
import { Targets } from "./targets.js";
import { readAll } from "./versioned.js";

/** After these nothing can have been paid, so the next target is always tried. */
const FREE = ["unreachable", "rate_limited", "unavailable", "refused_key", "not_configured", "no_slot"];
/** After these an image may be paid twice. */
const COSTLY = /** @type {Record<string, string>} */ ({
  rejected: "refuses the request",
  content_blocked: "blocks the content",
  failed: "fails or answers nonsense",
  timeout: "takes too long",
});

/**
 * @param {{route: any, etag: string, onClose: () => void, onSaved: (name: string) => void}} props `route` is empty for a new one
 */
export function RouteForm({ route, etag, onClose, onSaved }) {
  const isNew = !route.name;
  const [name, setName] = useState(route.name ?? "");
  const [form, setForm] = useState(
    isNew
      ? { description: "", operations: ["generation", "edit"], strategy: "ordered", fallback_on: FREE, targets: [] }
      : bodyOf(route),
  );
  const [known, setKnown] = useState({ connections: /** @type {any[]} */ ([]), workflows: /** @type {any[]} */ ([]) });
  const saving = useSaving(
    "routes",
    { before: isNew ? null : route, etag },
    { name, body: () => form, onSaved, onTheirs: (theirs) => setForm(bodyOf(theirs)) },
  );
  const set = (/** @type {any} */ changes) => setForm((/** @type {any} */ now) => ({ ...now, ...changes }));
  const toggle = (/** @type {string} */ list, /** @type {string} */ item) =>
    set({
      [list]: form[list].includes(item)
        ? form[list].filter((/** @type {string} */ found) => found !== item)
        : [...form[list], item],
    });

  useEffect(() => {
    Promise.all([readAll("connections"), readAll("workflows")]).then(([connections, workflows]) => {
      setKnown({ connections: connections.items, workflows: workflows.items });
      if (isNew) set({ targets: [{ connection: connections.items[0]?.name ?? "" }] });
    }, saving.fail);
  }, []);

  return html`<${Dialog} title=${isNew ? "New route" : name} onClose=${onClose} kind="box wide">
    <form class="stack" onSubmit=${saving.submit}>
      <div class="form-grid">
        ${
          isNew &&
          html`<${Field} label="Name" hint="What callers use as the model.">
            ${(
              /** @type {any} */ ids,
            ) => html`<input ...${ids} required maxlength="63" pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*" value=${name} autocomplete="off"
              spellcheck=${false} onInput=${(/** @type {any} */ event) => setName(event.target.value)} />`}
          <//>`
        }
        <${Field} label="Description" hint="For people.">
          ${(/** @type {any} */ ids) => html`<input ...${ids} maxlength="500" value=${form.description} onInput=${(/** @type {any} */ event) => set({ description: event.target.value })} />`}
        <//>
        <${Field} label="Strategy">
          ${(
            /** @type {any} */ ids,
          ) => html`<select ...${ids} value=${form.strategy} onChange=${(/** @type {any} */ event) => set({ strategy: event.target.value })}>
            ${Object.entries(STRATEGY).map(([value, label]) => html`<option key=${value} value=${value} selected=${value === form.strategy}>${label}</option>`)}
          </select>`}
        <//>
      </div>
      <fieldset class="choices">
        <legend>Used for</legend>
        ${Object.entries({ generation: "Generations", edit: "Edits" }).map(
          ([operation, label]) => html`<label class="choice" key=${operation}>
          <input type="checkbox" checked=${form.operations.includes(operation)} onChange=${() => toggle("operations", operation)} /><span>${label}</span>
        </label>`,
        )}
      </fieldset>
      <${Targets} targets=${form.targets} onChange=${(/** @type {any} */ targets) => set({ targets })} weighted=${form.strategy === "weighted"}
        connections=${known.connections} workflows=${known.workflows} />
      <fieldset class="choices">
        <legend>Ask the next target also when one</legend>
        <p class="hint">It is always asked when nothing can have been paid. With these, an image may be paid twice.</p>
        ${Object.entries(COSTLY).map(
          ([failure, label]) => html`<label class="choice" key=${failure}>
          <input type="checkbox" checked=${form.fallback_on.includes(failure)} onChange=${() => toggle("fallback_on", failure)} /><span>${label}</span>
        </label>`,
        )}
      </fieldset>
      <${SavingEnd} saving=${saving} name=${name} ready=${form.operations.length > 0} onClose=${onClose} />
    </form>
  <//>`;
}

/** @param {any} route */
function bodyOf({ name: _name, ...body }) {
  return body;
}
