/** Create: images from a prompt. */

import { createSessionStore } from "../api.js";
import { bodyOf, Composer, shapeOf } from "../composer.js";
import { Empty } from "../controls.js";
import { takeInputs } from "../edit/inputs.js";
import { html, useEffect } from "../html.js";
import { JobCards } from "../job_card.js";
import { again, entries, resume, submit } from "../jobs.js";
import { go } from "../router.js";
import { useStore } from "../store.js";

const IDEAS = [
  "a lighthouse in a storm, oil on canvas",
  "a cup of coffee on a wooden table, morning light",
  "the plan of a treehouse, blueprint",
];

/** What is chosen stays while other pages are shown. */
const draft = createSessionStore(/** @type {import("../composer.js").Choices} */ ({}));

/** @param {{account: import("../session.js").Account}} props */
export function Create({ account }) {
  const choices = useStore(draft);
  const all = useStore(entries);
  const usual = account.generation;

  useEffect(() => {
    resume(account).catch(() => {});
  }, [account.owner]);

  const send = (/** @type {import("../composer.js").Choices} */ sent) => {
    submit("generation", bodyOf(sent), { ratio: shapeOf(sent, usual) });
  };
  const use = (/** @type {import("../jobs.js").Image} */ image) => {
    takeInputs([image]);
    go("edit");
  };

  return html`<h1 class="visually-hidden">Create</h1>
    ${!usual.enabled && html`<${SwitchedOff} account=${account} what="Generation" />`}
    <${Composer} kind="generation" usual=${usual} choices=${choices} onChange=${draft.set} action="Create"
      onSubmit=${() => send(choices)} missing=${usual.enabled ? "" : "Generation is switched off"} />
    <section aria-label="Your images">
      ${
        all.length
          ? html`<${JobCards} entries=${all} onUse=${use} onAgain=${again} />`
          : html`<${Empty} title="Your images appear here">
              <p class="quiet">Describe one above, or begin with an idea:</p>
              <div class="ideas">
                ${IDEAS.map(
                  (idea) => html`<button class="button" type="button" key=${idea}
                  onClick=${() => draft.set({ ...choices, prompt: idea })}>${idea}</button>`,
                )}
              </div>
            <//>`
      }
    </section>`;
}

/** @param {{account: import("../session.js").Account, what: string}} props */
export function SwitchedOff({ account, what }) {
  return html`<p class="note warn">
    <span>${what} is switched off. ${
      account.role === "admin"
        ? html`<a href="#/setup">Set up an engine</a>, and switch it on.`
        : "An administrator of this deployment can switch it on."
    }</span>
  </p>`;
}
