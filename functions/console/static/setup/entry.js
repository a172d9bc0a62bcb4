/** The input of one field, by its kind. */

import { Description, Field, Switch } from "../controls.js";
import { html } from "../html.js";
import { labelOf, shown } from "./fields.js";

/** @typedef {import("./fields.js").ConfigField} ConfigField */

/**
 * Return what the gateway has said of a field; empty if nothing.
 *
 * @param {any} problem
 * @param {string} name
 */
export function errorOf(problem, name) {
  const found = problem?.errors?.find(
    (/** @type {any} */ error) => error.field === name || error.field?.startsWith(`${name}.`),
  );
  return found ? found.message : problem?.field === name ? problem.detail : "";
}

/** @param {{field: ConfigField, value: any, text?: string, error: string, onText: (text: string | undefined) => void}} props */
export function Entry({ field, value, text, error, onText }) {
  const current = text ?? shown(field, value);
  const label = labelOf(field.name);
  const hint = html`<${Description} text=${field.description} /> <code class="field-name">${field.name}</code>`;
  const type = (/** @type {any} */ event) => onText(event.target.value);
  if (field.kind === "boolean") {
    return html`<div class="field wide">
      <${Switch} label=${label} checked=${current === "true"} describedBy=${`${field.name}-hint`} onChange=${(/** @type {boolean} */ on) => onText(String(on))} />
      <p class="hint" id=${`${field.name}-hint`}>${hint}</p>
    </div>`;
  }
  const isLong = field.kind === "json" || field.kind === "workflow";
  return html`<${Field} label=${label} hint=${hint} error=${error} wide=${isLong}>
    ${(/** @type {any} */ ids) => {
      if (field.kind === "choice") {
        return html`<select ...${ids} value=${current} onChange=${type}>
          ${field.choices.map((choice) => html`<option key=${choice} value=${choice} selected=${choice === current}>${choice || "chosen by the gateway"}</option>`)}
        </select>`;
      }
      if (isLong)
        return html`<textarea ...${ids} rows=${field.kind === "json" ? 3 : 5} spellcheck=${false} class="mono" value=${current} onInput=${type}></textarea>`;
      if (field.kind === "secret") {
        return html`<${Secret} ids=${ids} isSet=${Boolean(value)} text=${text} onText=${onText} />`;
      }
      return html`<input ...${ids} type=${field.kind === "integer" ? "number" : "text"} value=${current} spellcheck=${false} autocomplete="off" onInput=${type} />`;
    }}
  <//>`;
}

/**
 * A key is never shown. Nothing typed keeps it, and only a button of its own removes it.
 *
 * @param {{ids: any, isSet: boolean, text?: string, onText: (text: string | undefined) => void}} props
 */
function Secret({ ids, isSet, text, onText }) {
  const removed = isSet && text === "";
  const placeholder = removed ? "Is removed" : isSet ? "Set. Type another to replace it" : "Not set";
  const type = (/** @type {any} */ event) => onText(event.target.value || undefined);
  return html`<span class="secret-input">
    <input ...${ids} type="password" autocomplete="off" placeholder=${placeholder} value=${text ?? ""} onInput=${type} />
    ${isSet && html`<button class="button small" type="button" onClick=${() => onText(removed ? undefined : "")}>${removed ? "Keep" : "Remove"}</button>`}
  </span>`;
}
