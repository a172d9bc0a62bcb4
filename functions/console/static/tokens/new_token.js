/** The dialog that makes a token, and shows its secret once. */

import { get, IMAGES, post } from "../api.js";
import { Dialog, ErrorNote, Field } from "../controls.js";
import { ENGINE } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { Icon } from "../icons.js";
import { copy } from "../notices.js";
import { errorOf } from "../setup/entry.js";
import { EndUserInputs, endUserFields, NO_END_USERS } from "./end_users.js";
import { LimitInputs, limitsOf, NO_LIMITS } from "./limits.js";

const LIVES = [
  { value: "", label: "Never" },
  { value: "1", label: "In a day" },
  { value: "7", label: "In a week" },
  { value: "30", label: "In 30 days" },
  { value: "365", label: "In a year" },
];

/** @param {{onClose: () => void, onMade: (token: import("./page.js").Token) => void}} props */
export function NewToken({ onClose, onMade }) {
  const [form, setForm] = useState({
    name: "",
    role: "user",
    days: "",
    engines: /** @type {string[]} */ ([]),
    models: "",
    connections: /** @type {string[]} */ ([]),
    routes: /** @type {string[]} */ ([]),
  });
  const [limits, setLimits] = useState(NO_LIMITS);
  const [endUsers, setEndUsers] = useState(NO_END_USERS);
  const [known, setKnown] = useState({
    connections: /** @type {string[]} */ ([]),
    routes: /** @type {string[]} */ ([]),
  });
  const [state, setState] = useState(/** @type {{busy?: boolean, problem?: any, secret?: string}} */ ({}));
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) =>
    setForm({ ...form, [name]: event.target.value });
  const toggle = (/** @type {"engines" | "connections" | "routes"} */ list, /** @type {string} */ item) =>
    setForm({
      ...form,
      [list]: form[list].includes(item) ? form[list].filter((name) => name !== item) : [...form[list], item],
    });
  useEffect(() => {
    const names = (/** @type {{name: string}[]} */ items) => items.map(({ name }) => name);
    Promise.all([get(`${IMAGES}/connections`), get(`${IMAGES}/routes`)]).then(
      ([{ connections }, { routes }]) => setKnown({ connections: names(connections), routes: names(routes) }),
      (problem) => setState({ problem }),
    );
  }, []);

  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ busy: true });
    post(`${IMAGES}/tokens`, { ...bodyOf(form), ...limitsOf(limits), ...endUserFields(endUsers) }).then(
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
      <${Field} label="Name" hint="For people: who uses it, or what for." error=${errorOf(state.problem, "name")}>
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
      <${Names} legend="Engines" hint="None chosen: all of them." names=${Object.entries(ENGINE)} chosen=${form.engines}
        onToggle=${(/** @type {string} */ name) => toggle("engines", name)} />
      ${
        known.routes.length > 0 &&
        html`<${Names} legend="Routes" hint="With all their servers. If only routes are chosen, nothing else may be used."
          names=${known.routes.map((name) => [name, name])} chosen=${form.routes} onToggle=${(/** @type {string} */ name) => toggle("routes", name)} />`
      }
      <details>
        <summary>Connections and models</summary>
        <div class="stack">
          <${Names} legend="Connections" hint="None chosen: all of them." names=${known.connections.map((name) => [name, name])}
            chosen=${form.connections} onToggle=${(/** @type {string} */ name) => toggle("connections", name)} />
          <${Field} label="Models" hint="One on a line, by their engines’ names. Empty: all of them." error=${errorOf(state.problem, "models")}>
            ${(/** @type {any} */ ids) => html`<textarea ...${ids} rows="2" value=${form.models} onInput=${set("models")} spellcheck=${false}></textarea>`}
          <//>
        </div>
      </details>
      <${LimitInputs} texts=${limits} problem=${state.problem} onChange=${setLimits} />
      <${EndUserInputs} choices=${endUsers} problem=${state.problem} onChange=${setEndUsers} />
      <${ErrorNote} problem=${state.problem} />
      <div class="row end">
        <button class="button" type="button" onClick=${onClose}>Cancel</button>
        <button class="button primary" type="submit" disabled=${state.busy || !form.name.trim()}>Make token</button>
      </div>
    </form>
  <//>`;
}

/**
 * @param {{name: string, role: string, days: string, engines: string[], models: string, connections: string[], routes: string[]}} form
 */
function bodyOf({ name, role, days, models, ...chosen }) {
  const listed = models
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const expiry = days ? { expires_at: new Date(Date.now() + Number(days) * 86_400_000).toISOString() } : {};
  const limited = Object.entries({ ...chosen, models: listed }).filter(([, names]) => names.length);
  return { name, role, ...expiry, ...Object.fromEntries(limited) };
}

/**
 * @param {{legend: string, hint: string, names: [string, string][], chosen: string[], onToggle: (name: string) => void}} props
 */
function Names({ legend, hint, names, chosen, onToggle }) {
  return html`<fieldset class="choices">
    <legend>${legend}</legend>
    <p class="hint">${hint}</p>
    ${names.map(
      ([name, label]) => html`<label class="choice" key=${name}>
        <input type="checkbox" checked=${chosen.includes(name)} onChange=${() => onToggle(name)} /><span>${label}</span>
      </label>`,
    )}
  </fieldset>`;
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
