/** The targets of a route, ordered by dragging or with the keyboard. */

import { Field } from "../controls.js";
import { html, useState } from "../html.js";
import { Icon } from "../icons.js";

/**
 * @typedef {object} Target
 * @property {string} connection
 * @property {string | null} [model]
 * @property {string | null} [workflow]
 * @property {number} [weight]
 * @property {string | null} [size]
 * @property {number | null} [steps]
 * @property {any} [params]
 */

/** @param {Target} target */
export function targetText({ connection, model, workflow, size, steps }) {
  const parts = [model ?? workflow, size, steps ? `${steps} steps` : null].filter(Boolean);
  return parts.length ? `${connection}: ${parts.join(", ")}` : connection;
}

/**
 * @param {Target[]} targets
 * @param {number} from
 * @param {number} to
 */
function moved(targets, from, to) {
  const next = [...targets];
  next.splice(to, 0, ...next.splice(from, 1));
  return next;
}

/**
 * @param {{targets: Target[], onChange: (targets: Target[]) => void, weighted: boolean,
 *   connections: {name: string, engine: string}[], workflows: {name: string}[]}} props
 */
export function Targets({ targets, onChange, weighted, connections, workflows }) {
  const [dragged, setDragged] = useState(/** @type {number | null} */ (null));
  const [said, setSaid] = useState("");
  const move = (/** @type {number} */ from, /** @type {number} */ to) => {
    if (to < 0 || to >= targets.length) return;
    onChange(moved(targets, from, to));
    setSaid(`${targetText(targets[from])} is now number ${to + 1} of ${targets.length}`);
  };
  const dragStart = (/** @type {DragEvent} */ event, /** @type {number} */ index) => {
    // Firefox drags nothing that has no data.
    event.dataTransfer?.setData("text/plain", targetText(targets[index]));
    setDragged(index);
  };
  const dragOver = (/** @type {DragEvent} */ event, /** @type {number} */ index) => {
    event.preventDefault();
    if (dragged === null || dragged === index) return;
    onChange(moved(targets, dragged, index));
    setDragged(index);
  };
  return html`<fieldset class="stack">
    <legend>Targets</legend>
    <p class="hint">Drag them into their order, or use the arrows.</p>
    <ol class="targets">
      ${targets.map(
        (target, index) => html`<li key=${index} class=${dragged === index ? "dragged" : ""} draggable
        onDragStart=${(/** @type {DragEvent} */ event) => dragStart(event, index)} onDragOver=${(/** @type {DragEvent} */ event) => dragOver(event, index)}
        onDragEnd=${() => setDragged(null)} onDrop=${(/** @type {Event} */ event) => event.preventDefault()}>
        <span class="grip"><${Icon} name="grip" /></span>
        <${TargetFields} target=${target} weighted=${weighted} connections=${connections} workflows=${workflows} number=${index + 1}
          onChange=${(/** @type {Target} */ next) => onChange(targets.map((found, at) => (at === index ? next : found)))} />
        <div class="target-actions">
          <button class="icon-button" type="button" disabled=${index === 0} aria-label=${`Move target ${index + 1} up`} onClick=${() => move(index, index - 1)}>
            <span class="up"><${Icon} name="chevron" /></span>
          </button>
          <button class="icon-button" type="button" disabled=${index === targets.length - 1} aria-label=${`Move target ${index + 1} down`} onClick=${() => move(index, index + 1)}>
            <${Icon} name="chevron" />
          </button>
          <button class="icon-button" type="button" disabled=${targets.length === 1} aria-label=${`Remove target ${index + 1}`} onClick=${() => onChange(targets.filter((_, at) => at !== index))}>
            <${Icon} name="close" />
          </button>
        </div>
      </li>`,
      )}
    </ol>
    <p class="visually-hidden" role="status">${said}</p>
    <button class="button" type="button" onClick=${() => onChange([...targets, { connection: connections[0]?.name ?? "" }])}><${Icon} name="plus" />Add a target</button>
  </fieldset>`;
}

/**
 * @param {{target: Target, number: number, weighted: boolean, connections: {name: string, engine: string}[],
 *   workflows: {name: string}[], onChange: (target: Target) => void}} props
 */
function TargetFields({ target, number, weighted, connections, workflows, onChange }) {
  const engine = connections.find(({ name }) => name === target.connection)?.engine;
  const set =
    (/** @type {string} */ name, /** @type {(text: string) => any} */ read = (text) => text || null) =>
    (/** @type {any} */ event) =>
      onChange({ ...target, [name]: read(event.target.value) });
  const count = (/** @type {string} */ text) => (text ? Number(text) : null);
  return html`<div class="form-grid target-fields">
    <${Field} label=${`Connection ${number}`}>
      ${(/** @type {any} */ ids) => html`<select ...${ids} value=${target.connection} onChange=${set("connection")}>
        ${connections.map(({ name }) => html`<option key=${name} value=${name} selected=${name === target.connection}>${name}</option>`)}
      </select>`}
    <//>
    ${
      engine === "comfyui"
        ? html`<${Field} label=${`Workflow ${number}`}>
            ${(
              /** @type {any} */ ids,
            ) => html`<select ...${ids} value=${target.workflow ?? ""} onChange=${set("workflow")}>
              <option value="">default</option>
              ${workflows.filter(({ name }) => name !== "default").map(({ name }) => html`<option key=${name} value=${name} selected=${name === target.workflow}>${name}</option>`)}
            </select>`}
          <//>`
        : null
    }
    <${Field} label=${`Model ${number}`}>
      ${(/** @type {any} */ ids) => html`<input ...${ids} value=${target.model ?? ""} placeholder="its default" autocomplete="off" spellcheck=${false} onInput=${set("model")} />`}
    <//>
    ${
      weighted
        ? html`<${Field} label=${`Weight ${number}`}>
            ${(/** @type {any} */ ids) => html`<input ...${ids} type="number" min="0" max="1000" value=${target.weight ?? 1} onInput=${set("weight", (text) => Number(text || 0))} />`}
          <//>`
        : null
    }
    <${Field} label=${`Size ${number}`}>
      ${(/** @type {any} */ ids) => html`<input ...${ids} value=${target.size ?? ""} placeholder="as configured" autocomplete="off" onInput=${set("size")} />`}
    <//>
    ${
      engine === "comfyui" || engine === "automatic1111"
        ? html`<${Field} label=${`Steps ${number}`}>
            ${(/** @type {any} */ ids) => html`<input ...${ids} type="number" min="0" value=${target.steps ?? ""} placeholder="as configured" onInput=${set("steps", count)} />`}
          <//>`
        : null
    }
  </div>`;
}
