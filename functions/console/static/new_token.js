/** The dialog that makes a token, and shows its secret once. */

import { IMAGES, post } from "./api.js";
import { Dialog, ErrorNote, Field } from "./controls.js";
import { ENGINE } from "./format.js";
import { html, useState } from "./html.js";
import { Icon } from "./icons.js";
import { copy } from "./notices.js";

const LIVES = [
  { value: "", label: "Never" },
  { value: "1", label: "In a day" },
  { value: "7", label: "In a week" },
  { value: "30", label: "In 30 days" },
  { value: "365", label: "In a year" },
];

/** @param {{onClose: () => void, onMade: (token: import("./tokens.js").Token) => void}} props */
export function NewToken({ onClose, onMade }) {
  const [form, setForm] = useState({
    name: "",
    role: "user",
    days: "",
    engines: /** @type {string[]} */ ([]),
    models: "",
  });
  const [state, setState] = useState(/** @type {{busy?: boolean, problem?: any, secret?: string}} */ ({}));
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) =>
    setForm({ ...form, [name]: event.target.value });
  const toggle = (/** @type {string} */ engine) => {
    const engines = form.engines.includes(engine)
      ? form.engines.filter((name) => name !== engine)
      : [...form.engines, engine];
    setForm({ ...form, engines });
  };

  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ busy: true });
    post(`${IMAGES}/tokens`, bodyOf(form)).then(
      ({ token: secret, ...made }) => {
        setState({ secret });
        onMade(made);
      },
      (problem) => setState({ problem }),
    );
  };

  if (state.secret) return html`<${Secret} name=${form.name} secret=${state.secret} onClose=${onClose} />`;
  return html`<${Dialog} title="New token" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${Field} label="Name" hint="For people: who uses it, or what for.">
        ${(/** @type {any} */ ids) => html`<input ...${ids} required maxlength="100" value=${form.name} onInput=${set("name")} autocomplete="off" />`}
      <//>
      <div class="form-grid">
        <${Field} label="Role" hint=${form.role === "admin" ? "May read and change everything." : "Generates and edits images."}>
          ${(/** @type {any} */ ids) => html`<select ...${ids} value=${form.role} onChange=${set("role")}>
            <option value="user">user</option><option value="admin">admin</option>
          </select>`}
        <//>
        <${Field} label="Expires">
          ${(/** @type {any} */ ids) => html`<select ...${ids} value=${form.days} onChange=${set("days")}>
            ${LIVES.map(({ value, label }) => html`<option key=${value} value=${value}>${label}</option>`)}
          </select>`}
        <//>
      </div>
      <fieldset class="choices">
        <legend>Engines</legend>
        <p class="hint">None chosen: all of them.</p>
        ${Object.entries(ENGINE).map(
          ([name, label]) => html`<label class="choice" key=${name}>
          <input type="checkbox" checked=${form.engines.includes(name)} onChange=${() => toggle(name)} /><span>${label}</span>
        </label>`,
        )}
      </fieldset>
      <${Field} label="Models" hint="One on a line, by their engines’ names. Empty: all of them.">
        ${(/** @type {any} */ ids) => html`<textarea ...${ids} rows="2" value=${form.models} onInput=${set("models")} spellcheck=${false}></textarea>`}
      <//>
      <${ErrorNote} problem=${state.problem} />
      <div class="row end">
        <button class="button" type="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" type="submit" disabled=${state.busy || !form.name.trim()}>Make token</button>
      </div>
    </form>
  <//>`;
}

/** @param {{name: string, role: string, days: string, engines: string[], models: string}} form */
function bodyOf({ name, role, days, engines, models }) {
  const listed = models
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const expiry = days ? { expires_at: new Date(Date.now() + Number(days) * 86_400_000).toISOString() } : {};
  return {
    name,
    role,
    ...expiry,
    ...(engines.length ? { engines } : {}),
    ...(listed.length ? { models: listed } : {}),
  };
}

/** @param {{name: string, secret: string, onClose: () => void}} props */
function Secret({ name, secret, onClose }) {
  const footer = html`<button class="button" type="button" onClick=${onClose}>Done</button>
    <button class="button primary" type="button" onClick=${() => copy(secret, "Token copied.")}><${Icon} name="copy" />Copy</button>`;
  return html`<${Dialog} title=${`The token of ${name}`} onClose=${onClose} footer=${footer}>
    <p>Copy it now. The gateway keeps only a hash, so it cannot be shown again.</p>
    <p class="secret"><code>${secret}</code></p>
  <//>`;
}
