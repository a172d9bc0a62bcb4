/** Set up: engines, ComfyUI's workflows, connections and routes. For administrators. */

import { html } from "../html.js";
import { link } from "../router.js";
import { ComfyUI } from "./comfyui.js";
import { Connections } from "./connections.js";
import { Engines } from "./engines.js";
import { Routes } from "./routes.js";

const PARTS = [
  { id: "engines", title: "Engines", purpose: "What this deployment generates and edits with.", part: Engines },
  { id: "comfyui", title: "ComfyUI", purpose: "From the file of a workflow to its first image.", part: ComfyUI },
  { id: "connections", title: "Connections", purpose: "Several servers, each under a name.", part: Connections },
  {
    id: "routes",
    title: "Routes",
    purpose: "Names that callers use as a model, with servers to fall back on.",
    part: Routes,
  },
];

/** @param {{account: import("../session.js").Account, parts: string[]}} props */
export function Setup({ account, parts }) {
  const current = PARTS.find(({ id }) => id === parts[0]) ?? PARTS[0];
  return html`<header class="page-head">
      <div>
        <h1>Set up</h1>
        <p class="quiet">${current.purpose}</p>
      </div>
      <nav class="tabs" aria-label="Parts of the set-up">
        ${PARTS.map(
          ({ id, title }) =>
            html`<a key=${id} href=${link("setup", id)} aria-current=${id === current.id ? "page" : undefined}>${title}</a>`,
        )}
      </nav>
    </header>
    <${current.part} account=${account} />`;
}
