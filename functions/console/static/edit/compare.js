/** The result over the original. A range input is the handle, so it works by mouse, touch and arrow keys. */

import { html, useState } from "../html.js";

/** @param {{result: import("../jobs.js").Image, original: string}} props */
export function Compare({ result, original }) {
  const [at, setAt] = useState(50);
  const ratio = (result.width ?? 1) / (result.height ?? 1);
  return html`<div class="compare" style=${{ "--at": `${at}%`, "--ratio": ratio, aspectRatio: ratio }}>
    <img src=${result.url} alt="Result" />
    <img class="original" src=${original} alt="Original" />
    <span class="tag left" aria-hidden="true">Original</span>
    <span class="tag right" aria-hidden="true">Result</span>
    <input type="range" min="0" max="100" step="1" value=${at} aria-label="How much of the original is shown"
      aria-valuetext=${`${at} % original`} onInput=${(/** @type {any} */ event) => setAt(Number(event.target.value))} />
    <span class="compare-line" aria-hidden="true"></span>
  </div>`;
}
