/** The dialog that makes or changes a connection. */

import { Dialog, Field, Loading } from "../controls.js";
import { ENGINE } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { Entry, errorOf } from "./entry.js";
import { MASK, parsedValue, readFields } from "./fields.js";
import { SavingEnd, useSaving } from "./saving.js";

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
  const [invalid, setInvalid] = useState("");
  /** @returns {any} what is stored; null if a field is not valid */
  const body = () => {
    /** @type {Record<string, any>} */
    const values = { engine };
    for (const field of used) {
      const text = texts[field.name];
      try {
        if (text !== undefined) values[field.name] = parsedValue(field, text);
        else if (!KEPT.has(field.name) && stored[field.name] !== undefined) values[field.name] = stored[field.name];
      } catch {
        setInvalid(field.name);
        return null;
      }
    }
    setInvalid("");
    return values;
  };
  const saving = useSaving(
    "connections",
    { before: isNew ? null : connection, etag },
    { name, body, onSaved, onTheirs: () => setTexts({}) },
  );
  const { problem } = saving.state;
  const stored = saving.before ?? {};
  useEffect(() => {
    readFields("ConnectionForm").then(setFields, saving.fail);
  }, []);
  const used = ORDER.filter((field) => ONLY_FOR[field]?.includes(engine) ?? true).flatMap((field) =>
    fields.filter((found) => found.name === field),
  );

  return html`<${Dialog} title=${isNew ? "New connection" : name} onClose=${onClose}>
    <form class="stack" onSubmit=${saving.submit}>
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
      ${!fields.length && !problem && html`<${Loading} />`}
      ${used.map(
        (
          field,
        ) => html`<${Entry} key=${field.name} field=${field} value=${field.name === "key" && stored.key ? MASK : (stored[field.name] ?? field.initial)}
        text=${texts[field.name]} error=${invalid === field.name ? "This is not valid JSON." : errorOf(problem, field.name)}
        onText=${(/** @type {string} */ text) => setTexts((now) => ({ ...now, [field.name]: text }))} />`,
      )}
      <${SavingEnd} saving=${saving} name=${name} ready onClose=${onClose} />
    </form>
  <//>`;
}
