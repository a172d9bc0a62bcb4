/** The fields of a request that few requests need, as far as the engine takes them. */

import { Field } from "./controls.js";
import { html } from "./html.js";

/** @typedef {{label: string, hint: string, input: "text" | "number" | "select", options?: string[], min?: number, max?: number}} Option */

/** @type {Record<string, Option>} */
const OPTIONS = {
  negative_prompt: { label: "Negative prompt", hint: "What the image should not show.", input: "text" },
  seed: { label: "Seed", hint: "The same seed gives the same image again.", input: "number", min: 0, max: 2 ** 53 - 1 },
  steps: { label: "Steps", hint: "Diffusion steps.", input: "number", min: 0, max: 10_000 },
  quality: {
    label: "Quality",
    hint: "More of it takes longer and costs more.",
    input: "select",
    options: ["low", "medium", "high", "auto"],
  },
  background: {
    label: "Background",
    hint: "Transparent needs PNG or WebP.",
    input: "select",
    options: ["transparent", "opaque", "auto"],
  },
  moderation: {
    label: "Moderation",
    hint: "How strictly the provider filters.",
    input: "select",
    options: ["low", "auto"],
  },
  output_format: { label: "Format", hint: "Of the image file.", input: "select", options: ["png", "jpeg", "webp"] },
  output_compression: {
    label: "Compression",
    hint: "Quality of a JPEG or WebP, 0 to 100.",
    input: "number",
    min: 0,
    max: 100,
  },
  input_fidelity: {
    label: "Fidelity",
    hint: "How closely the input is kept.",
    input: "select",
    options: ["high", "low"],
  },
};

/**
 * @param {{kind: string, fields: string[], choices: import("./composer.js").Choices,
 *   onChange: (choices: import("./composer.js").Choices) => void}} props
 */
export function MoreOptions({ kind, fields, choices, onChange }) {
  const names = [...fields, ...(kind === "edit" && fields.includes("quality") ? ["input_fidelity"] : [])];
  return html`<div class="form-grid more-options">
    ${names.map((name) => {
      const option = OPTIONS[name];
      const set = (/** @type {any} */ event) => onChange({ ...choices, [name]: event.target.value });
      return html`<${Field} key=${name} label=${option.label} hint=${option.hint}>
        ${(/** @type {any} */ ids) => (option.input === "select" ? choice(ids, option, choices[name], set) : entry(ids, option, choices[name], set))}
      <//>`;
    })}
  </div>`;
}

/**
 * @param {any} ids
 * @param {Option} option
 * @param {string | undefined} value
 * @param {(event: any) => void} set
 */
const choice = (ids, option, value, set) => html`<select ...${ids} value=${value ?? ""} onChange=${set}>
  <option value="">As usual</option>
  ${option.options?.map((name) => html`<option key=${name} value=${name} selected=${name === value}>${name}</option>`)}
</select>`;

/**
 * @param {any} ids
 * @param {Option} option
 * @param {string | undefined} value
 * @param {(event: any) => void} set
 */
const entry = (
  ids,
  option,
  value,
  set,
) => html`<input ...${ids} type=${option.input} min=${option.min} max=${option.max}
  value=${value ?? ""} onInput=${set} autocomplete="off" />`;
