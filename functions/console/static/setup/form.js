/** The form of a section. It sends only what was changed, and on top of the version that it was made from. */

import { ErrorNote } from "../controls.js";
import { html, useState } from "../html.js";
import { Conflict } from "./conflict.js";
import { Entry, errorOf } from "./entry.js";
import { parsedValue, shown } from "./fields.js";

/** @typedef {import("./fields.js").ConfigField} ConfigField */

/**
 * @param {{fields: ConfigField[], stored: import("./config.js").Stored, onDone: () => void,
 *   onSave: (changes: any, etag: string) => Promise<string[]>, onReread: () => Promise<import("./config.js").Stored>}} props
 */
export function ConfigForm({ fields, stored, onSave, onReread, onDone }) {
  const [base, setBase] = useState(stored);
  const [texts, setTexts] = useState(/** @type {Record<string, string | undefined>} */ ({}));
  const [state, setState] = useState(
    /** @type {{busy?: boolean, problem?: any, current?: any, warnings?: string[], invalid?: string}} */ ({}),
  );
  const changed = Object.keys(texts).filter((name) =>
    isChanged(texts[name], fieldNamed(fields, name), base.config[name]),
  );

  const save = async (/** @type {string} */ etag) => {
    /** @type {Record<string, any>} */
    const changes = {};
    for (const name of changed) {
      try {
        changes[name] = parsedValue(fieldNamed(fields, name), texts[name] ?? "");
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
 * @param {string | undefined} text
 * @param {ConfigField} field
 * @param {any} value
 */
const isChanged = (text, field, value) => text !== undefined && text !== shown(field, value);
