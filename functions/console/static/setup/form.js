/** The form of a section. It sends only what was changed, and on top of the version that it was made from. */

import { ErrorNote, Field, Switch } from "../controls.js";
import { html, useState } from "../html.js";
import { Conflict } from "./conflict.js";
import { labelOf, MASK, parsedValue, shown } from "./fields.js";

/** @typedef {import("./fields.js").ConfigField} ConfigField */

/**
 * @param {{fields: ConfigField[], stored: import("./page.js").Stored, onDone: () => void,
 *   onSave: (changes: any, etag: string) => Promise<string[]>, onReread: () => Promise<import("./page.js").Stored>}} props
 */
export function ConfigForm({ fields, stored, onSave, onReread, onDone }) {
  const [base, setBase] = useState(stored);
  const [texts, setTexts] = useState(/** @type {Record<string, string>} */ ({}));
  const [state, setState] = useState(
    /** @type {{busy?: boolean, problem?: any, current?: any, warnings?: string[], invalid?: string}} */ ({}),
  );
  const changed = Object.keys(texts).filter(
    (name) => texts[name] !== shown(fieldNamed(fields, name), base.config[name]),
  );

  const save = async (/** @type {string} */ etag) => {
    /** @type {Record<string, any>} */
    const changes = {};
    for (const name of changed) {
      try {
        changes[name] = parsedValue(fieldNamed(fields, name), texts[name]);
      } catch {
        return setState({ invalid: name });
      }
    }
    setState({ busy: true });
    try {
      const warnings = await onSave(changes, etag);
      if (!warnings.length) return onDone();
      setTexts({});
      setState({ warnings });
    } catch (problem) {
      if (/** @type {any} */ (problem).status !== 412) return setState({ problem });
      onReread().then(
        (current) => setState({ current }),
        (failed) => setState({ problem: failed }),
      );
    }
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    save(base.etag);
  };
  const takeTheirs = (/** @type {string[]} */ names) => {
    setTexts(Object.fromEntries(Object.entries(texts).filter(([name]) => !names.includes(name))));
    setBase(state.current);
    setState({});
  };
  const keepMine = () => {
    setBase(state.current);
    save(state.current.etag);
  };

  return html`<form class="config-form" onSubmit=${submit}>
    <div class="form-grid">
      ${fields.map(
        (
          field,
        ) => html`<${Entry} key=${field.name} field=${field} value=${base.config[field.name]} text=${texts[field.name]}
        error=${state.invalid === field.name ? "This is not valid JSON." : errorOf(state.problem, field.name)}
        onText=${(/** @type {string} */ text) => setTexts((now) => ({ ...now, [field.name]: text }))} />`,
      )}
    </div>
    ${
      state.current &&
      html`<${Conflict} fields=${fields} base=${base} current=${state.current} texts=${texts} changed=${changed}
      onTheirs=${takeTheirs} onMine=${keepMine} />`
    }
    <${ErrorNote} problem=${state.problem} />
    ${state.warnings?.map((text) => html`<p class="note warn" key=${text}><span class="quoted">${text}</span></p>`)}
    <div class="row end">
      <span class="quiet">${changed.length ? `${changed.length} changed` : "Nothing changed"}</span>
      <button class="button" type="button" onClick=${onDone}>Cancel</button>
      <button class="button primary" type="submit" disabled=${state.busy || !changed.length || state.current}>${state.busy ? "Saving …" : "Save"}</button>
    </div>
  </form>`;
}

/**
 * @param {ConfigField[]} fields
 * @param {string} name
 */
const fieldNamed = (fields, name) => /** @type {ConfigField} */ (fields.find((field) => field.name === name));

/**
 * @param {any} problem
 * @param {string} name
 */
function errorOf(problem, name) {
  const found = problem?.errors?.find(
    (/** @type {any} */ error) => error.field === name || error.field?.startsWith(`${name}.`),
  );
  return found ? found.message : problem?.field === name ? problem.detail : "";
}

/** @param {{field: ConfigField, value: any, text?: string, error: string, onText: (text: string) => void}} props */
function Entry({ field, value, text, error, onText }) {
  const current = text ?? (field.kind === "secret" && value === MASK ? "" : shown(field, value));
  const label = labelOf(field.name);
  const hint = html`${field.description} <code class="field-name">${field.name}</code>`;
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
        const placeholder = value ? "Set. Type another to replace it" : "Not set";
        return html`<input ...${ids} type="password" autocomplete="off" placeholder=${placeholder} value=${current} onInput=${type} />`;
      }
      return html`<input ...${ids} type=${field.kind === "integer" ? "number" : "text"} value=${current} spellcheck=${false} autocomplete="off" onInput=${type} />`;
    }}
  <//>`;
}
