/** The form of a request: the prompt, and under it what is chosen for it. Creating and editing share it. */

import { Chip } from "./controls.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";
import { ratioOf } from "./jobs.js";
import { engineOf, fieldsOf, modelChoices, useModels } from "./models.js";
import { MoreOptions } from "./more_options.js";

/**
 * @typedef {Record<string, string>} Choices the fields of the request as texts; an empty one is left out
 *
 * @typedef {object} ComposerProps
 * @property {"generation" | "edit"} kind
 * @property {import("./session.js").Operation} usual what the configuration has for requests that say nothing
 * @property {Choices} choices
 * @property {(choices: Choices) => void} onChange
 * @property {() => void} onSubmit
 * @property {string} action what the button says
 * @property {string} [missing] what is missing before the request can be sent
 */

const RATIOS = ["1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9"];
const CLASSES = ["1K", "2K", "4K"];
const NUMBERS = new Set(["n", "seed", "steps", "output_compression"]);

/** @param {ComposerProps} props */
export function Composer({ kind, usual, choices, onChange, onSubmit, action, missing }) {
  const models = useModels();
  const [open, setOpen] = useState(false);
  const prompt = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const set = (/** @type {string} */ name) => (/** @type {string} */ value) => onChange({ ...choices, [name]: value });
  const engine = engineOf(models, choices.model ?? "", usual.engine);
  const isMac = navigator.platform.startsWith("Mac");
  const label = kind === "edit" ? "What to change" : "What the image should show";

  useLayoutEffect(() => {
    const area = prompt.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }, [choices.prompt]);
  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) prompt.current?.focus({ preventScroll: true });
  }, []);

  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (choices.prompt?.trim() && !missing) onSubmit();
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
  };

  return html`<form class="composer" onSubmit=${submit} onKeyDown=${onKeyDown}>
    <textarea class="prompt" ref=${prompt} aria-label=${label} placeholder=${label} rows="1" maxlength="32000" required
      value=${choices.prompt ?? ""} onInput=${(/** @type {any} */ event) => set("prompt")(event.target.value)}></textarea>
    <div class="composer-row">
      <${Chip} label="Model or route" value=${choices.model ?? ""} options=${modelChoices(models, usual.model)} on=${choices.model}
        onChange=${set("model")} />
      <${Chip} label="Ratio" value=${choices.aspect_ratio ?? ""} options=${ratioChoices(usual.size)} on=${choices.aspect_ratio}
        onChange=${set("aspect_ratio")} icon=${html`<${Shape} ratio=${shapeOf(choices, usual)} />`} />
      <${Chip} label="Resolution" value=${choices.size ?? ""} on=${choices.size} onChange=${set("size")}
        options=${[{ value: "", label: "Usual resolution" }, ...CLASSES.map((name) => ({ value: name, label: name }))]} />
      <${Chip} label="Number of images" value=${choices.n ?? "1"} on=${(choices.n ?? "1") !== "1"} onChange=${set("n")}
        options=${Array.from({ length: 10 }, (_, index) => ({ value: `${index + 1}`, label: `${index + 1} ${index ? "images" : "image"}` }))} />
      <button class="chip plain" type="button" aria-expanded=${open} onClick=${() => setOpen(!open)}>
        More options<${Icon} name="chevron" size="16" />
      </button>
      <span class="grow"></span>
      ${missing && html`<span class="quiet missing">${missing}</span>`}
      <button class="button primary" type="submit" disabled=${!choices.prompt?.trim() || missing}>
        ${action}<kbd aria-hidden="true">${isMac ? "⌘" : "Ctrl"} ↵</kbd>
      </button>
    </div>
    ${open && html`<${MoreOptions} kind=${kind} fields=${fieldsOf(engine)} choices=${choices} onChange=${onChange} />`}
  </form>`;
}

/** @param {string | null} usual */
function ratioChoices(usual) {
  const label = usual && usual !== "auto" ? `Usual size, ${usual.replace("x", " × ")}` : "Usual size";
  return [{ value: "", label }, ...RATIOS.map((ratio) => ({ value: ratio, label: ratio }))];
}

/**
 * Return width by height of the images that a request will make, as far as it is known.
 *
 * @param {Choices} choices
 * @param {import("./session.js").Operation} usual
 */
export const shapeOf = (choices, usual) => ratioOf(null, choices.aspect_ratio) ?? ratioOf(usual.size, usual.size) ?? 1;

/** A small rectangle of a ratio. @param {{ratio: number}} props */
function Shape({ ratio }) {
  const [width, height] = ratio >= 1 ? [16, 16 / ratio] : [16 * ratio, 16];
  return html`<svg class="shape" width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">
    <rect x=${10 - width / 2} y=${10 - height / 2} width=${width} height=${height} rx="2" />
  </svg>`;
}

/**
 * Return the body of the request for what was chosen.
 *
 * @param {Choices} choices
 */
export function bodyOf(choices) {
  const chosen = Object.entries(choices).filter(([, value]) => value.trim() !== "");
  const body = Object.fromEntries(chosen.map(([name, value]) => [name, NUMBERS.has(name) ? Number(value) : value]));
  return { ...body, response_format: "url" };
}
