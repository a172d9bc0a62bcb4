/** Set up: engines and how they are used. For administrators. */

import { IMAGES, post, request } from "../api.js";
import { ErrorNote, Loading } from "../controls.js";
import { html, useEffect, useState } from "../html.js";
import { forgetModels } from "../models.js";
import { notify } from "../notices.js";
import { refreshAccount } from "../session.js";
import { readFields, SECTIONS } from "./fields.js";
import { Section } from "./section.js";

/**
 * @typedef {object} Stored the configuration as it was read
 * @property {any} config
 * @property {string} etag
 */

/** @returns {Promise<Stored>} */
async function readConfig() {
  const { data, headers } = await request("GET", `${IMAGES}/config`);
  return { config: data, etag: headers.get("etag") ?? "" };
}

export function Setup() {
  const [stored, setStored] = useState(/** @type {Stored | null} */ (null));
  const [fields, setFields] = useState(/** @type {import("./fields.js").ConfigField[] | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [open, setOpen] = useState("");

  const read = () => {
    setProblem(null);
    Promise.all([readConfig(), readFields()]).then(([found, described]) => {
      setStored(found);
      setFields(described);
    }, setProblem);
  };
  useEffect(read, []);

  /**
   * Store changes on top of a version. Throws a problem with status 412 if another version is current by now.
   *
   * @param {any} changes
   * @param {string} etag
   */
  const save = async (changes, etag) => {
    const { data, headers } = await request("POST", `${IMAGES}/config/update`, {
      body: changes,
      headers: { "If-Match": etag },
    });
    const { warnings = [], ...config } = data;
    setStored({ config, etag: headers.get("etag") ?? "" });
    forgetModels();
    refreshAccount().catch(() => {});
    notify("Saved. All functions use it within half a minute.");
    return warnings;
  };

  return html`<header class="page-head">
      <div>
        <h1>Set up</h1>
        <p class="quiet">The engines of this deployment. Keys are never shown again, and are sent to their own server only.</p>
      </div>
    </header>
    <${ErrorNote} problem=${problem} onRetry=${read} />
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
