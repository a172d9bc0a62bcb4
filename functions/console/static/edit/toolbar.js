/** The floating bar over the image: what paints, how large, and how large the image is shown. */

import { html } from "../html.js";
import { Icon } from "../icons.js";

/**
 * @typedef {object} Tools
 * @property {"brush" | "eraser" | "hand"} tool
 * @property {number} size diameter of the brush in thousandths of the image's longest side
 * @property {number} zoom
 */

export const ZOOMS = [1, 1.5, 2, 3, 4, 6];
const TOOLS = /** @type {["brush" | "eraser" | "hand", string, string][]} */ ([
  ["brush", "Brush", "B"],
  ["eraser", "Eraser", "E"],
  ["hand", "Move", "V"],
]);

/**
 * @param {{tools: Tools, onChange: (tools: Tools) => void, painted: number, onUndo: () => void, onClear: () => void}} props
 */
export function Toolbar({ tools, onChange, painted, onUndo, onClear }) {
  const step = ZOOMS.indexOf(tools.zoom);
  const zoomTo = (/** @type {number} */ index) => onChange({ ...tools, zoom: ZOOMS[index] });
  return html`<div class="toolbar" role="toolbar" aria-label="Mask">
    ${TOOLS.map(
      ([tool, label, key]) => html`<button class="icon-button" type="button" key=${tool} aria-label=${label}
      title=${`${label} (${key})`} aria-pressed=${tools.tool === tool} onClick=${() => onChange({ ...tools, tool })}>
      <${Icon} name=${tool} />
    </button>`,
    )}
    <label class="brush-size">
      <span class="visually-hidden">Size of the brush</span>
      <input type="range" min="5" max="300" value=${tools.size}
        onInput=${(/** @type {any} */ event) => onChange({ ...tools, size: Number(event.target.value) })} />
    </label>
    <span class="divider"></span>
    <button class="icon-button" type="button" aria-label="Undo" title="Undo (Ctrl+Z)" disabled=${!painted} onClick=${onUndo}>
      <${Icon} name="undo" />
    </button>
    <button class="icon-button" type="button" aria-label="Clear the mask" title="Clear the mask" disabled=${!painted} onClick=${onClear}>
      <${Icon} name="clear" />
    </button>
    <span class="divider"></span>
    <button class="icon-button" type="button" aria-label="Zoom out" disabled=${step === 0} onClick=${() => zoomTo(step - 1)}>
      <${Icon} name="minus" />
    </button>
    <output class="figures zoom" aria-label="Zoom">${Math.round(tools.zoom * 100)} %</output>
    <button class="icon-button" type="button" aria-label="Zoom in" disabled=${step === ZOOMS.length - 1} onClick=${() => zoomTo(step + 1)}>
      <${Icon} name="plus" />
    </button>
  </div>`;
}

/**
 * Return the tools after a key was pressed; null if the key means nothing.
 *
 * @param {KeyboardEvent} event
 * @param {Tools} tools
 * @returns {Tools | null}
 */
export function afterKey(event, tools) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const step = ZOOMS.indexOf(tools.zoom);
  const named = TOOLS.find(([, , key]) => key === event.key.toUpperCase());
  if (named) return { ...tools, tool: named[0] };
  if (event.key === "[") return { ...tools, size: Math.max(5, Math.round(tools.size / 1.25)) };
  if (event.key === "]") return { ...tools, size: Math.min(300, Math.round(tools.size * 1.25)) };
  if (event.key === "+" && step < ZOOMS.length - 1) return { ...tools, zoom: ZOOMS[step + 1] };
  if (event.key === "-" && step > 0) return { ...tools, zoom: ZOOMS[step - 1] };
  return null;
}
