/** ComfyUI: from the file of a workflow to its first image. */

import { IMAGES, post } from "../api.js";
import { ErrorNote, Field, State } from "../controls.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Icon } from "../icons.js";
import { NodeTable } from "./node_table.js";
import { readAll } from "./versioned.js";
import { entriesOf, mapOf, rowsOf } from "./workflow_inputs.js";
import { WorkflowSave } from "./workflow_save.js";

/**
 * @typedef {object} Inspected
 * @property {string} name of the file
 * @property {string} text
 * @property {any} workflow the parsed text; null if it is no workflow
 * @property {import("./workflow_inputs.js").Row[]} rows
 * @property {{code: string, node_id: string | null, detail: string}[]} problems
 */

/** @param {{account: import("../session.js").Account}} props */
export function ComfyUI({ account }) {
  const [servers, setServers] = useState(/** @type {any[]} */ ([]));
  const [server, setServer] = useState("");
  const [inspected, setInspected] = useState(/** @type {Inspected | null} */ (null));
  const [state, setState] = useState(/** @type {{busy?: boolean, problem?: any}} */ ({}));
  const [over, setOver] = useState(false);

  useEffect(() => {
    readAll("connections").then(
      ({ items }) => {
        const found = items.filter(({ engine }) => engine === "comfyui");
        setServers(found);
        setServer(found[0]?.name ?? "");
      },
      (problem) => setState({ problem }),
    );
  }, []);

  const inspect = async (/** @type {string} */ name, /** @type {string} */ text, /** @type {string} */ connection) => {
    setState({ busy: true });
    try {
      const { nodes, problems } = await post(`${IMAGES}/workflows/inspect`, {
        workflow: text,
        ...(connection ? { connection } : {}),
      });
      setInspected({ name, text, workflow: workflowOf(text), rows: rowsOf(nodes), problems });
      setState({});
    } catch (problem) {
      setState({ problem });
    }
  };
  const take = (/** @type {FileList | null | undefined} */ files) => {
    const file = files?.[0];
    if (file) file.text().then((text) => inspect(file.name, text, server));
  };
  const changeServer = (/** @type {any} */ event) => {
    setServer(event.target.value);
    if (inspected) inspect(inspected.name, inspected.text, event.target.value);
  };
  const onDrop = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer?.files);
  };
  const onDragOver = (/** @type {Event} */ event) => {
    event.preventDefault();
    setOver(true);
  };
  const change = (/** @type {import("./workflow_inputs.js").Row[]} */ rows) =>
    inspected && setInspected({ ...inspected, rows });

  return html`<section class="card section" aria-labelledby="comfyui-file">
      <div class="section-head">
        <div class="grow">
          <h2 id="comfyui-file">1. The workflow</h2>
          <p class="quiet">In ComfyUI: Workflow, Export (API). Then hand over the file.</p>
        </div>
        ${
          servers.length
            ? html`<${Field} label="Compare with">
                ${(/** @type {any} */ ids) => html`<select ...${ids} value=${server} onChange=${changeServer}>
                  ${servers.map(({ name }) => html`<option key=${name} value=${name} selected=${name === server}>${name}</option>`)}
                  <option value="">no server</option>
                </select>`}
              <//>`
            : html`<${State} state="warn"><a href="#/setup/engines">Name a ComfyUI server first</a><//>`
        }
      </div>
      <div class=${`drop-file${over ? " over" : ""}`} onDrop=${onDrop} onDragOver=${onDragOver} onDragLeave=${() => setOver(false)}>
        <p>${inspected ? html`<strong>${inspected.name}</strong>` : "Drop the file here"}</p>
        <${ChooseFile} label=${inspected ? "Choose another file" : "Choose a file"} onFiles=${take} />
      </div>
      <${ErrorNote} problem=${state.problem} />
      ${state.busy && html`<${State} state="busy">Reading the workflow …<//>`}
      ${inspected?.problems.map(
        ({ code, node_id: node, detail }, index) => html`<div class="note warn" key=${index}>
        <${Icon} name="warning" />
        <div><p class="quoted">${node ? `Node ${node}: ` : ""}${detail}</p><p class="code">${code}</p></div>
      </div>`,
      )}
    </section>
    ${
      inspected?.workflow &&
      html`<${NodeTable} rows=${inspected.rows} inputs=${entriesOf(inspected.workflow)} onChange=${change} />
        <${WorkflowSave} key=${inspected.text} workflow=${inspected.text} nodes=${mapOf(inspected.rows)} server=${server} account=${account} />`
    }`;
}

/** @param {{label: string, onFiles: (files: FileList) => void}} props */
function ChooseFile({ label, onFiles }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const chosen = (/** @type {any} */ event) => {
    onFiles(event.target.files);
    event.target.value = "";
  };
  return html`<button class="button primary" type="button" onClick=${() => input.current?.click()}><${Icon} name="upload" />${label}</button>
    <input class="visually-hidden" ref=${input} type="file" accept=".json,application/json" tabindex="-1" aria-label=${label} onChange=${chosen} />`;
}

/**
 * Return the workflow of a text; null if it is not in ComfyUI's API format, which the inspection has said.
 *
 * @param {string} text
 */
function workflowOf(text) {
  try {
    const parsed = JSON.parse(text.replace(/^\uFEFF/, ""));
    const nodes = Object.values(parsed ?? {});
    return nodes.length && nodes.every((/** @type {any} */ node) => node?.class_type && node.inputs) ? parsed : null;
  } catch {
    return null;
  }
}
