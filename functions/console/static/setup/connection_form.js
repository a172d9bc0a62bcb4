/** The dialog that makes or changes a connection. */

import { Dialog, ErrorNote, Field, Loading } from "../controls.js";
import { ENGINE } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { Entry, errorOf } from "./entry.js";
import { MASK, parsedValue, readFields } from "./fields.js";
import { Overtaken } from "./overtaken.js";
import { save } from "./versioned.js";

/** Fields in the order of the form. Those that only some engines have come with their engines. */
const ORDER = [
  "base_url",
  "key",
  "auth",
  "api_version",
  "dialect",
  "endpoint_method",
  "timeout_seconds",
  "max_concurrent",
  "params",
  "extra_fields",
];
const ONLY_FOR = /** @type {Record<string, string[]>} */ ({
  api_version: ["openai"],
  dialect: ["openai"],
  extra_fields: ["openai"],
  endpoint_method: ["gemini"],
  params: ["openai", "automatic1111"],
});
const KEPT = new Set(["name", "managed_by", "cooling_until", "cooling_reason", "key"]);

/**
 * @param {{connection: any, etag: string, onClose: () => void, onSaved: (name: string) => void}} props
 *   `connection` is empty for a new one
 */
export function ConnectionForm({ connection, etag, onClose, onSaved }) {
  const isNew = !connection.name;
  const [fields, setFields] = useState(/** @type {import("./fields.js").ConfigField[]} */ ([]));
  const [name, setName] = useState(connection.name ?? "");
  const [engine, setEngine] = useState(connection.engine ?? "openai");
  const [texts, setTexts] = useState(/** @type {Record<string, string>} */ ({}));
  const [base, setBase] = useState({ before: isNew ? null : connection, etag });
  const [state, setState] = useState(
    /** @type {{busy?: boolean, problem?: any, overtaken?: any, invalid?: string}} */ ({}),
  );
  useEffect(() => {
    readFields("ConnectionForm").then(setFields, (problem) => setState({ problem }));
  }, []);
  const used = ORDER.filter((field) => ONLY_FOR[field]?.includes(engine) ?? true).flatMap((field) =>
    fields.filter((found) => found.name === field),
  );
  const stored = base.before ?? {};

  const send = async (/** @type {{before: any, etag: string}} */ on) => {
    /** @type {Record<string, any>} */
    const body = { engine };
    for (const field of used) {
      const text = texts[field.name];
      try {
        if (text !== undefined) body[field.name] = parsedValue(field, text);
        else if (!KEPT.has(field.name) && stored[field.name] !== undefined) body[field.name] = stored[field.name];
      } catch {
        return setState({ invalid: field.name });
      }
    }
    setState({ busy: true });
    try {
      const done = await save("connections", name.trim(), body, on);
      if (done.item) return onSaved(done.item.name);
      setState({ overtaken: done });
    } catch (problem) {
      setState({ problem });
    }
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    send(base);
  };
  const takeTheirs = () => {
    setBase({ before: state.overtaken.theirs, etag: state.overtaken.etag });
    setTexts({});
    setState({});
  };
  const saveMine = () => {
    const on = { before: state.overtaken.theirs, etag: state.overtaken.etag };
    setBase(on);
    send(on);
  };

  return html`<${Dialog} title=${isNew ? "New connection" : name} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${
        isNew &&
        html`<${Field} label="Name" hint="Lower-case letters, digits and hyphens, such as azure-eu.">
          ${(
            /** @type {any} */ ids,
          ) => html`<input ...${ids} required maxlength="63" pattern="[a-z0-9][a-z0-9\\-]*" value=${name} autocomplete="off"
            spellcheck=${false} onInput=${(/** @type {any} */ event) => setName(event.target.value)} />`}
        <//>`
      }
      <${Field} label="Engine">
        ${(
          /** @type {any} */ ids,
        ) => html`<select ...${ids} value=${engine} onChange=${(/** @type {any} */ event) => setEngine(event.target.value)}>
          ${Object.entries(ENGINE).map(([value, label]) => html`<option key=${value} value=${value} selected=${value === engine}>${label}</option>`)}
        </select>`}
      <//>
      ${!fields.length && !state.problem && html`<${Loading} />`}
      ${used.map(
        (
          field,
        ) => html`<${Entry} key=${field.name} field=${field} value=${field.name === "key" && stored.key ? MASK : (stored[field.name] ?? field.initial)}
        text=${texts[field.name]} error=${state.invalid === field.name ? "This is not valid JSON." : errorOf(state.problem, field.name)}
        onText=${(/** @type {string} */ text) => setTexts((now) => ({ ...now, [field.name]: text }))} />`,
      )}
      ${state.overtaken && html`<${Overtaken} name=${name} theirs=${state.overtaken.theirs} before=${stored} onTheirs=${takeTheirs} onMine=${saveMine} />`}
      <${ErrorNote} problem=${state.problem} />
      <div class="row end">
        <button class="button" type="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" type="submit" disabled=${state.busy || !name.trim() || state.overtaken}>Save</button>
      </div>
    </form>
  <//>`;
}
