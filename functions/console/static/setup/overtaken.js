/** Somebody else has changed the same thing: what they have changed, and a choice. */

import { html } from "../html.js";

/**
 * @param {{name: string, theirs: any, before: any, onTheirs: () => void, onMine: () => void}} props
 *   `theirs` is null if they have deleted it
 */
export function Overtaken({ name, theirs, before, onTheirs, onMine }) {
  const changed = Object.keys(theirs ?? {}).filter(
    (key) => JSON.stringify(theirs[key]) !== JSON.stringify(before?.[key]),
  );
  return html`<div class="note warn conflict" role="alert">
    <div>
      <p><strong>Somebody else has ${theirs ? (before?.name ? "changed" : "made") : "deleted"} ${name} since you opened it.</strong></p>
      ${
        theirs &&
        html`<dl class="facts">
          ${changed.map((key) => html`<div key=${key}><dt>${key}</dt><dd>${theirs[key] === null ? "empty" : typeof theirs[key] === "object" ? JSON.stringify(theirs[key]) : String(theirs[key])}</dd></div>`)}
        </dl>`
      }
      <div class="row">
        ${theirs && html`<button class="button" type="button" onClick=${onTheirs}>Take theirs</button>`}
        <button class="button" type="button" onClick=${onMine}>Save mine instead</button>
      </div>
    </div>
  </div>`;
}
