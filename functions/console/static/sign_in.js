/** The page of somebody who is not signed in. */

import { endedBecause } from "./api.js";
import { ErrorNote, Field } from "./controls.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { signIn } from "./session.js";
import { useStore } from "./store.js";

export function SignIn() {
  const [secret, setSecret] = useState("");
  const [state, setState] = useState(/** @type {{busy?: boolean, problem?: any}} */ ({}));
  const ended = useStore(endedBecause);
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => field.current?.focus(), []);

  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({ busy: true });
    signIn(secret.trim()).catch((problem) => setState({ problem }));
  };

  return html`<main class="sign-in">
    <form class="card" onSubmit=${submit}>
      <span class="mark" aria-hidden="true"></span>
      <h1>Sign in</h1>
      <p class="quiet">The token stays in this tab. Closing the tab signs you out.</p>
      ${ended && !state.problem && html`<p class="note warn" role="alert">${ended}</p>`}
      <${Field} label="Token" hint="It begins with igw_. An administrator of the deployment makes one for you.">
        ${(
          /** @type {any} */ ids,
        ) => html`<input ...${ids} type="password" autocomplete="off" spellcheck=${false} required
          ref=${field} value=${secret} onInput=${(/** @type {any} */ event) => setSecret(event.target.value)} />`}
      <//>
      <${ErrorNote} problem=${state.problem} />
      <button class="button primary" type="submit" disabled=${state.busy || !secret.trim()}>
        ${state.busy ? "Signing in …" : "Sign in"}
      </button>
    </form>
  </main>`;
}
