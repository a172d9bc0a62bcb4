/** The engines of the configuration: a section for each, with its form. */

import { IMAGES, post } from "../api.js";
import { ErrorNote, Loading } from "../controls.js";
import { html, useEffect, useState } from "../html.js";
import { notify } from "../notices.js";
import { readConfig, saveConfig } from "./config.js";
import { readFields, SECTIONS } from "./fields.js";
import { Section } from "./section.js";

export function Engines() {
  const [stored, setStored] = useState(/** @type {import("./config.js").Stored | null} */ (null));
  const [fields, setFields] = useState(/** @type {import("./fields.js").ConfigField[] | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [open, setOpen] = useState("");

  const read = () => {
    setProblem(null);
    Promise.all([readConfig(), readFields("ImagesConfig")]).then(([found, described]) => {
      setStored(found);
      setFields(described);
    }, setProblem);
  };
  useEffect(read, []);

  const save = async (/** @type {any} */ changes, /** @type {string} */ etag) => {
    const { warnings, ...saved } = await saveConfig(changes, etag);
    setStored(saved);
    notify("Saved. All functions use it within half a minute.");
    return warnings;
  };

  return html`<${ErrorNote} problem=${problem} onRetry=${read} />
    ${!stored && !problem && html`<${Loading} />`}
    ${
      stored &&
      fields &&
      html`<div class="sections">
      ${SECTIONS.map(
        (section) => html`<${Section} key=${section.id} section=${section} stored=${stored} open=${open === section.id}
        fields=${fields.filter(({ name }) => sectionOf(name) === section.id)} onSave=${save} onReread=${readConfig}
        onOpen=${(/** @type {boolean} */ on) => setOpen(on ? section.id : "")} onVerify=${verify} />`,
      )}
    </div>`
    }`;
}

/** @param {string} name */
function sectionOf(name) {
  // The last section that matches has it: prompt generation is named like generation.
  return SECTIONS.filter(({ match }) => match.test(name)).at(-1)?.id ?? "generation";
}

/**
 * Ask an engine whether it can be used, and return the milliseconds that it took.
 *
 * @param {string} engine
 */
async function verify(engine) {
  const started = performance.now();
  await post(`${IMAGES}/verify`, { engine });
  return Math.round(performance.now() - started);
}
