/** Controls that all pages share. */

import { html, useEffect, useId, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";

/**
 * An input with its label, its explanation and its error.
 *
 * @param {{label: string, hint?: any, error?: string, wide?: boolean, children: (ids: {id: string,
 *   "aria-describedby"?: string, "aria-invalid"?: string}) => any}} props `children` gets the attributes of the input
 */
export function Field({ label, hint, error, wide, children }) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  const attributes = {
    id,
    ...(described ? { "aria-describedby": described } : {}),
    ...(error ? { "aria-invalid": "true" } : {}),
  };
  return html`<div class=${`field${wide ? " wide" : ""}`}>
    <label for=${id}>${label}</label>
    ${children(attributes)}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="field-error" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

/** A text in which names are between backticks, as the API's descriptions have them. @param {{text: string}} props */
export function Description({ text }) {
  return text.split("`").map((part, index) => (index % 2 ? html`<code key=${index}>${part}</code>` : part));
}

/**
 * A select that looks like a chip.
 *
 * @param {{label: string, value: string, options: {value: string, label: string, group?: string}[],
 *   onChange: (value: string) => void, icon?: any, on?: boolean}} props
 */
export function Chip({ label, value, options, onChange, icon, on }) {
  const groups = [...new Set(options.map(({ group }) => group ?? ""))];
  const items = (/** @type {string} */ group) =>
    options
      .filter((option) => (option.group ?? "") === group)
      .map(
        (option) => html`<option key=${option.value} value=${option.value} selected=${option.value === value}>
          ${option.label}
        </option>`,
      );
  const shown = options.find((option) => option.value === value)?.label ?? "";
  return html`<span class=${`chip${on ? " on" : ""}`}>
    ${icon}<span class="chip-text" aria-hidden="true">${shown}</span><${Icon} name="chevron" size="16" />
    <select aria-label=${label} title=${label} value=${value} onChange=${(/** @type {any} */ event) => onChange(event.target.value)}>
      ${groups.map((group) => (group ? html`<optgroup label=${group}>${items(group)}</optgroup>` : items(group)))}
    </select>
  </span>`;
}

/** @param {{checked: boolean, label: string, onChange: (on: boolean) => void, describedBy?: string}} props */
export function Switch({ checked, label, onChange, describedBy }) {
  return html`<label class="switch">
    <input type="checkbox" role="switch" checked=${checked} aria-describedby=${describedBy}
      onChange=${(/** @type {any} */ event) => onChange(event.target.checked)} />
    <span class="track" aria-hidden="true"></span><span>${label}</span>
  </label>`;
}

/** @param {{problem: any, onRetry?: () => void}} props */
export function ErrorNote({ problem, onRetry }) {
  if (!problem) return null;
  const title = problem.title ?? "Something went wrong";
  return html`<div class="note bad" role="alert">
    <${Icon} name="warning" />
    <div>
      <p><strong>${title}</strong></p>
      ${problem.detail && html`<p class="quoted">${problem.detail}</p>`}
      ${problem.code && html`<p class="code">${problem.code}</p>`}
    </div>
    ${onRetry && html`<button class="button" type="button" onClick=${onRetry}>Try again</button>`}
  </div>`;
}

/** @param {{title: string, children?: any, icon?: string}} props */
export function Empty({ title, children, icon = "create" }) {
  return html`<div class="empty">
    <span class="empty-icon"><${Icon} name=${icon} size="28" /></span>
    <h2>${title}</h2>
    ${children}
  </div>`;
}

/** Shows that something is awaited, after 300 ms. @param {{label?: string}} props */
export function Loading({ label = "Loading …" }) {
  return html`<p class="loading" role="status"><span class="spinner" aria-hidden="true"></span>${label}</p>`;
}

/**
 * A dialog of the browser: it keeps the focus inside, closes with Escape, and gives the focus back.
 *
 * @param {{title: string, onClose: () => void, kind?: "box" | "sheet", children?: any, footer?: any}} props
 */
export function Dialog({ title, onClose, kind = "box", children, footer }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    const opener = /** @type {HTMLElement | null} */ (document.activeElement);
    dialog.current?.showModal();
    return () => opener?.isConnected && opener.focus();
  }, []);
  const onBackdrop = (/** @type {MouseEvent} */ event) => event.target === dialog.current && onClose();
  return html`<dialog class=${kind} ref=${dialog} aria-labelledby=${id} onClose=${onClose} onMouseDown=${onBackdrop}>
    <div class="dialog-inner">
      <header class="dialog-head">
        <h2 id=${id}>${title}</h2>
        <button class="icon-button" type="button" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button>
      </header>
      <div class="dialog-body">${children}</div>
      ${footer && html`<footer class="dialog-foot">${footer}</footer>`}
    </div>
  </dialog>`;
}

/**
 * Asks once before something that cannot be undone.
 *
 * @param {{title: string, action: string, children: any, onConfirm: () => Promise<void>, onClose: () => void}} props
 */
export function Confirm({ title, action, children, onConfirm, onClose }) {
  const [state, setState] = useState(/** @type {{busy?: boolean, problem?: any}} */ ({}));
  const confirm = () => {
    setState({ busy: true });
    onConfirm().then(onClose, (problem) => setState({ problem }));
  };
  const footer = html`<button class="button" type="button" onClick=${onClose}>Keep it</button>
    <button class="button danger" type="button" disabled=${state.busy} onClick=${confirm}>${action}</button>`;
  return html`<${Dialog} title=${title} onClose=${onClose} footer=${footer}>
    ${children}
    ${state.busy && html`<${Loading} label="Working …" />`}
    <${ErrorNote} problem=${state.problem} />
  <//>`;
}

/** @param {{state: "good" | "warn" | "bad" | "idle" | "busy", children: any}} props */
export function State({ state, children }) {
  return html`<span class=${`state ${state}`}><span class="dot" aria-hidden="true"></span><span>${children}</span></span>`;
}
