/** Saving what a dialog has changed: on top of the version that it was opened with, unless somebody else was faster. */

import { ErrorNote } from "../controls.js";
import { html, useState } from "../html.js";
import { Overtaken } from "./overtaken.js";
import { save } from "./versioned.js";

/**
 * @typedef {object} Base what the dialog changes
 * @property {any} before the item as it was read; null for a new one
 * @property {string} etag the version of that
 *
 * @typedef {object} Saving
 * @property {any} before the item that is changed; null for a new one
 * @property {{busy?: boolean, problem?: any, overtaken?: import("./versioned.js").Saved}} state
 * @property {(problem: any) => void} fail show a problem
 * @property {(event: Event) => void} submit
 * @property {() => void} takeTheirs
 * @property {() => void} saveMine
 */

/**
 * @param {"connections" | "routes"} kind
 * @param {Base} opened
 * @param {{name: string, body: () => any, onSaved: (name: string) => void, onTheirs: (theirs: any) => void}} form
 *   `body` returns what is stored; null if the form is not valid
 * @returns {Saving}
 */
export function useSaving(kind, opened, { name, body, onSaved, onTheirs }) {
  const [base, setBase] = useState(opened);
  const [state, setState] = useState(/** @type {Saving["state"]} */ ({}));

  const send = async (/** @type {Base} */ on) => {
    const content = body();
    if (!content) return setState({});
    setState({ busy: true });
    try {
      const done = await save(kind, name.trim(), content, on);
      if (done.item) return onSaved(done.item.name);
      setState({ overtaken: done });
    } catch (problem) {
      setState({ problem });
    }
  };
  const theirs = () => ({ before: state.overtaken?.theirs, etag: state.overtaken?.etag ?? "" });

  return {
    before: base.before,
    state,
    fail: (problem) => setState({ problem }),
    submit: (event) => {
      event.preventDefault();
      send(base);
    },
    takeTheirs: () => {
      setBase(theirs());
      onTheirs(theirs().before);
      setState({});
    },
    saveMine: () => {
      setBase(theirs());
      send(theirs());
    },
  };
}

/**
 * The end of a dialog's form: what became of saving, and the buttons.
 *
 * @param {{saving: Saving, name: string, ready: boolean, onClose: () => void}} props `ready` says whether it can be saved
 */
export function SavingEnd({ saving, name, ready, onClose }) {
  const { state, before } = saving;
  return html`
    ${state.overtaken && html`<${Overtaken} name=${name} theirs=${state.overtaken.theirs} before=${before} onTheirs=${saving.takeTheirs} onMine=${saving.saveMine} />`}
    <${ErrorNote} problem=${state.problem} />
    <div class="row end">
      <button class="button" type="button" onClick=${onClose}>Cancel</button>
      <button class="button primary" type="submit" disabled=${state.busy || !name.trim() || !ready || state.overtaken}>Save</button>
    </div>`;
}
