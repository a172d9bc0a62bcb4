/** Saves a workflow with its node map, then makes a test image with it. */

import { IMAGES } from "../api.js";
import { ErrorNote, Field } from "../controls.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { JobCard } from "../job_card.js";
import { entries, ratioOf, submit } from "../jobs.js";
import { forgetModels } from "../models.js";
import { notify } from "../notices.js";
import { refreshAccount } from "../session.js";
import { useStore } from "../store.js";
import { readConfig, saveOver } from "./config.js";
import { labelOf } from "./fields.js";
import { readAll, save } from "./versioned.js";

const PURPOSES = [
  { value: "generation", label: "Generation", hint: "The workflow of requests that name none." },
  { value: "edit", label: "Edits", hint: "The workflow of edits that name none. It needs an input image." },
  { value: "named", label: "A name", hint: "For targets of routes, beside others." },
];

/**
 * @param {{workflow: string, nodes: any[], server: string, account: import("../session.js").Account}} props
 */
export function WorkflowSave({ workflow, nodes, server, account }) {
  const [purpose, setPurpose] = useState(nodes.some(({ type }) => type === "image") ? "edit" : "generation");
  const [name, setName] = useState("");
  const [use, setUse] = useState(true);
  const [state, setState] = useState(
    /** @type {{busy?: boolean, problem?: any, saved?: string, warnings?: string[], exists?: any, theirs?: string[]}} */ ({}),
  );
  const base = useRef(/** @type {import("./config.js").Stored | null} */ (null));
  useEffect(() => {
    // If this fails, saving reads it, and says what is wrong.
    readConfig().then(
      (stored) => {
        base.current ??= stored;
      },
      () => {},
    );
  }, []);
  const { hint } = PURPOSES.find(({ value }) => value === purpose) ?? PURPOSES[0];

  /** @returns {Promise<typeof state>} what is shown then; nothing is stored over what was not shown before */
  const sendNamed = async () => {
    const { items, etag } = await readAll("workflows");
    const before = items.find((item) => item.name === name.trim()) ?? null;
    if (before && JSON.stringify(before) !== JSON.stringify(state.exists)) return { exists: before };
    const body = { workflow: JSON.parse(workflow.replace(/^\uFEFF/, "")), nodes };
    const { item, theirs } = await save("workflows", name.trim(), body, { before, etag });
    return item ? { saved: purpose, warnings: item.warnings ?? [] } : { exists: theirs };
  };
  /** @returns {Promise<typeof state>} */
  const sendDefault = async () => {
    base.current ??= await readConfig();
    const done = await saveOver(fieldsOf(purpose, workflow, nodes, use), base.current);
    base.current = "theirs" in done ? done.current : done;
    return "theirs" in done ? { theirs: done.theirs } : { saved: purpose, warnings: done.warnings };
  };
  const submitForm = (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ busy: true });
    (purpose === "named" ? sendNamed() : sendDefault()).then(
      (done) => {
        setState(done);
        if (!done.saved) return;
        forgetModels();
        refreshAccount().catch(() => {});
        notify("The workflow is saved.");
      },
      (problem) => setState({ problem }),
    );
  };

  const choose = (/** @type {string} */ value) => {
    setState({});
    setPurpose(value);
  };
  const rename = (/** @type {any} */ event) => {
    setState({});
    setName(event.target.value);
  };

  return html`<section class="card section" aria-labelledby="workflow-save">
    <h2 id="workflow-save">3. Save and try it</h2>
    <form class="stack" onSubmit=${submitForm}>
      <fieldset class="choices">
        <legend>Use it for</legend>
        ${PURPOSES.map(
          ({ value, label }) => html`<label class="choice" key=${value}>
          <input type="radio" name="purpose" value=${value} checked=${purpose === value} onChange=${() => choose(value)} /><span>${label}</span>
        </label>`,
        )}
        <p class="hint">${hint}</p>
      </fieldset>
      ${
        purpose === "named"
          ? html`<${Field} label="Name" hint="Lower-case letters, digits and hyphens.">
              ${(
                /** @type {any} */ ids,
              ) => html`<input ...${ids} required maxlength="63" pattern="[a-z0-9][a-z0-9\\-]*" value=${name} autocomplete="off"
                onInput=${rename} />`}
            <//>`
          : html`<label class="check"><input type="checkbox" checked=${use} onChange=${() => setUse(!use)} />
              <span>${purpose === "edit" ? "Edit" : "Generate"} with ComfyUI from now on</span></label>`
      }
      <${ErrorNote} problem=${state.problem} />
      ${state.exists && html`<p class="note warn" role="alert">There is a workflow ${name.trim()} already. Routes that name it would use this one.</p>`}
      ${
        state.theirs &&
        html`<div class="note warn" role="alert"><div>
          <p><strong>Somebody else has changed the configuration since you opened this page.</strong></p>
          <p>Nothing was saved. They changed: ${state.theirs.map((field) => labelOf(field)).join(", ")}. <a href="#/setup/engines">See theirs</a>, or save yours instead.</p>
        </div></div>`
      }
      ${state.warnings?.map((text) => html`<p class="note warn" key=${text}><span class="quoted">${text}</span></p>`)}
      <div class="row"><button class="button primary" type="submit" disabled=${state.busy || (purpose === "named" && !name.trim())}>${state.busy ? "Saving …" : state.exists ? "Replace it" : state.theirs ? "Save mine instead" : "Save the workflow"}</button></div>
    </form>
    ${state.saved && state.saved !== "edit" && html`<${TestImage} name=${state.saved === "named" ? name.trim() : "default"} server=${server || "comfyui"} usual=${account.generation} />`}
    ${state.saved === "edit" && html`<p>Try it on an image: <a href="#/edit">go to Edit</a>.</p>`}
    ${state.saved === "named" && html`<p>Give it to a target of a <a href="#/setup/routes">route</a>, which callers then use as a model.</p>`}
  </section>`;
}

/**
 * Return the fields of the configuration that make a workflow the default one.
 *
 * @param {string} purpose
 * @param {string} workflow
 * @param {any[]} nodes
 * @param {boolean} use whether ComfyUI becomes the engine
 */
function fieldsOf(purpose, workflow, nodes, use) {
  const isEdit = purpose === "edit";
  const [prefix, name] = isEdit ? ["IMAGES_EDIT_COMFYUI", "EDIT"] : ["COMFYUI", "GENERATION"];
  const engine = { [`ENABLE_IMAGE_${name}`]: true, [`IMAGE_${name}_ENGINE`]: "comfyui", [`IMAGE_${name}_MODEL`]: "" };
  return { [`${prefix}_WORKFLOW`]: workflow, [`${prefix}_WORKFLOW_NODES`]: nodes, ...(use ? engine : {}) };
}

/** @param {{name: string, server: string, usual: import("../session.js").Operation}} props */
function TestImage({ name, server, usual }) {
  const [prompt, setPrompt] = useState("a lighthouse in a storm");
  const [tried, setTried] = useState("");
  const entry = useStore(entries).find(({ key }) => key === tried);
  const make = (/** @type {Event} */ event) => {
    event.preventDefault();
    const path = `${IMAGES}/workflows/${encodeURIComponent(name)}/try`;
    setTried(
      submit("generation", { prompt, connection: server }, { ratio: ratioOf(usual.size, usual.size) ?? 1, path }),
    );
  };
  return html`<form class="stack" onSubmit=${make}>
      <${Field} label="Prompt of a test image" hint=${`The connection ${server} makes it.`}>
        ${(/** @type {any} */ ids) => html`<input ...${ids} required value=${prompt} onInput=${(/** @type {any} */ event) => setPrompt(event.target.value)} />`}
      <//>
      <div class="row"><button class="button" type="submit">Make a test image</button></div>
    </form>
    ${entry && html`<div class="test-image"><${JobCard} entry=${entry} /></div>`}`;
}
