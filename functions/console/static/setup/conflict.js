/** What to do when somebody else has changed the configuration meanwhile. Nothing is overwritten unseen. */

import { html } from "../html.js";
import { labelOf, MASK, shown } from "./fields.js";

/**
 * @param {{fields: import("./fields.js").ConfigField[], base: import("./config.js").Stored, current: import("./config.js").Stored,
 *   texts: Record<string, string | undefined>, changed: string[], onTheirs: (names: string[]) => void, onMine: () => void}} props
 */
export function Conflict({ fields, base, current, texts, changed, onTheirs, onMine }) {
  const theirs = Object.keys(current.config).filter(
    (name) => JSON.stringify(current.config[name]) !== JSON.stringify(base.config[name]),
  );
  const both = theirs.filter((name) => changed.includes(name));
  return html`<div class="note warn conflict" role="alert">
    <div>
      <p><strong>Somebody else has changed the configuration since you opened it.</strong></p>
      <p>${both.length ? "Both of you changed these fields:" : "They changed other fields than you. Yours can be saved on top."}</p>
      ${
        both.length
          ? html`<table class="table">
              <thead><tr><th>Field</th><th>Theirs</th><th>Yours</th></tr></thead>
              <tbody>${both.map(
                (name) => html`<tr key=${name}><td>${labelOf(name)}</td>
                <td>${textOf(fields, name, current.config[name])}</td><td>${name.endsWith("_KEY") ? MASK : texts[name] || "empty"}</td></tr>`,
              )}</tbody>
            </table>`
          : null
      }
      <div class="row">
        ${both.length ? html`<button class="button" type="button" onClick=${() => onTheirs(both)}>Take theirs</button>` : null}
        <button class="button" type="button" onClick=${onMine}>${both.length ? "Save mine instead" : "Save mine too"}</button>
      </div>
    </div>
  </div>`;
}

/**
 * @param {import("./fields.js").ConfigField[]} fields
 * @param {string} name
 * @param {any} value
 */
function textOf(fields, name, value) {
  const field = fields.find((found) => found.name === name);
  return (field ? shown(field, value) : String(value)) || "empty";
}
