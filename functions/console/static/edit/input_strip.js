/** The input images, and the ways to choose them. */

import { html, useRef } from "../html.js";
import { Icon } from "../icons.js";
import { MAX_INPUTS, removeInput } from "./inputs.js";

/** @typedef {import("./image_files.js").Input} Input */

const KINDS = "image/*,.heic,.heif";

/** @param {{label: string, primary?: boolean, onFiles: (files: FileList) => void}} props */
export function ChooseFiles({ label, primary, onFiles }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const chosen = (/** @type {any} */ event) => {
    onFiles(event.target.files);
    event.target.value = "";
  };
  return html`<button class=${`button${primary ? " primary" : ""}`} type="button" onClick=${() => input.current?.click()}>
      <${Icon} name="upload" />${label}
    </button>
    <input class="visually-hidden" ref=${input} type="file" accept=${KINDS} multiple tabindex="-1" aria-label=${label} onChange=${chosen} />`;
}

/** @param {{inputs: Input[], onFiles: (files: FileList) => void}} props */
export function InputStrip({ inputs, onFiles }) {
  return html`<div class="input-strip">
    <ul aria-label="Input images">
      ${inputs.map(
        (input, index) => html`<li key=${input.key}>
        ${input.url ? html`<img src=${input.url} alt="" />` : html`<span class="no-preview"><${Icon} name="gallery" /></span>`}
        <span class="input-name" title=${input.name}>
          ${index === 0 && inputs.length > 1 ? html`<strong>Painted on</strong>` : null}<span>${input.name}</span>
        </span>
        <button class="icon-button" type="button" aria-label=${`Remove ${input.name}`} onClick=${() => removeInput(input.key)}>
          <${Icon} name="close" size="16" />
        </button>
      </li>`,
      )}
    </ul>
    ${inputs.length < MAX_INPUTS && html`<${ChooseFiles} label="Add images" onFiles=${onFiles} />`}
  </div>
  ${inputs.filter(({ note }) => note).map(({ key, note }) => html`<p class="note" key=${key}>${note}</p>`)}`;
}
