/** A section of the configuration: what it is for, its state, and its form behind a button. */

import { ErrorNote, State } from "../controls.js";
import { ENGINE, formatNumber } from "../format.js";
import { html, useState } from "../html.js";
import { ConfigForm } from "./form.js";

/**
 * @param {{section: {id: string, title: string, purpose: string, engine?: string}, stored: import("./config.js").Stored,
 *   fields: import("./fields.js").ConfigField[], open: boolean, onOpen: (open: boolean) => void,
 *   onSave: (changes: any, etag: string) => Promise<string[]>, onReread: () => Promise<import("./config.js").Stored>,
 *   onVerify: (engine: string) => Promise<number>}} props
 */
export function Section({ section, stored, fields, open, onOpen, onSave, onReread, onVerify }) {
  const [checked, setChecked] = useState(/** @type {{busy?: boolean, ms?: number, problem?: any}} */ ({}));
  const { engine } = section;
  const [state, words] = summary(section.id, engine, stored.config);

  const check = () => {
    setChecked({ busy: true });
    onVerify(engine ?? "").then(
      (ms) => setChecked({ ms }),
      (problem) => setChecked({ problem }),
    );
  };
  const onDone = () => {
    setChecked({});
    onOpen(false);
  };
  const line = checked.busy
    ? html`<${State} state="busy">Asking the server …<//>`
    : checked.ms !== undefined
      ? html`<${State} state="good">Answers in ${formatNumber(checked.ms)} ms<//>`
      : checked.problem
        ? html`<${State} state="bad">Does not work<//>`
        : html`<${State} state=${state}>${words}<//>`;

  return html`<section class="card section" aria-labelledby=${`section-${section.id}`}>
    <div class="section-head">
      <div class="grow">
        <h2 id=${`section-${section.id}`}>${section.title}</h2>
        <p class="quiet">${section.purpose}</p>
      </div>
      <div class="section-state">${line}</div>
      <div class="row">
        ${engine && html`<button class="button" type="button" disabled=${checked.busy} onClick=${check} aria-label=${`Test ${section.title}`}>Test</button>`}
        <button class="button" type="button" aria-expanded=${open} aria-label=${`${open ? "Close" : "Edit"} ${section.title}`}
          onClick=${() => onOpen(!open)}>${open ? "Close" : "Edit"}</button>
      </div>
    </div>
    <${ErrorNote} problem=${checked.problem} />
    ${
      open &&
      html`<${ConfigForm} fields=${fields} stored=${stored} onSave=${onSave} onReread=${onReread}
      onDone=${onDone} />`
    }
  </section>`;
}

/**
 * @param {string} id
 * @param {string | undefined} engine
 * @param {any} config
 * @returns {["good" | "idle", string]}
 */
function summary(id, engine, config) {
  if (id === "generation" || id === "edits") {
    const name = id === "edits" ? "EDIT" : "GENERATION";
    const used = ENGINE[config[`IMAGE_${name}_ENGINE`]];
    return config[`ENABLE_IMAGE_${name}`] ? ["good", `On, by ${used}`] : ["idle", "Off"];
  }
  if (id === "prompts") return config.ENABLE_IMAGE_PROMPT_GENERATION ? ["good", "On"] : ["idle", "Off"];
  const uses = [];
  if (config.ENABLE_IMAGE_GENERATION && config.IMAGE_GENERATION_ENGINE === engine) uses.push("generation");
  if (config.ENABLE_IMAGE_EDIT && config.IMAGE_EDIT_ENGINE === engine) uses.push("edits");
  return uses.length ? ["good", `Used for ${uses.join(" and ")}`] : ["idle", "Not used by default"];
}
