/** The usage of end users, whom a chat front end has named, and how one of them is forgotten. */

import { IMAGES, request } from "../api.js";
import { Confirm, Field } from "../controls.js";
import { formatNumber, plural } from "../format.js";
import { showJobsOf } from "../gallery/list.js";
import { html, useState } from "../html.js";
import { notify } from "../notices.js";
import { link } from "../router.js";
import { CsvButton } from "./csv.js";
import { dearestFirst, grouped } from "./rows.js";
import { UsageTable } from "./tables.js";

/** @typedef {import("./rows.js").Row} Row */

/** How often a deletion is sent again that goes on: each works for 20 s. */
const MAX_TURNS = 60;

/**
 * @param {{rows: Row[], range: import("./periods.js").Range, isAdmin: boolean, exact: boolean, onForgotten: () => void}} props
 */
export function EndUsers({ rows, range, isAdmin, exact, onForgotten }) {
  const [forgetting, setForgetting] = useState("");
  const forget = async () => {
    notify(forgottenWords(await forgetEndUser(forgetting)));
    onForgotten();
  };
  const show = (/** @type {string} */ endUser) => () => showJobsOf(endUser);
  const name = ({ end_user: endUser = "" }) =>
    html`<a class="mono" href=${link("gallery")} title="Show the jobs" onClick=${show(endUser)}>${endUser}</a>`;
  const action = ({ end_user: endUser = "" }) =>
    html`<button class="button small" type="button" aria-label=${`Forget ${endUser}`} onClick=${() => setForgetting(endUser)}>Forget</button>`;
  if (!rows.length && !isAdmin) return null;
  return html`<section class="stack">
    <div class="page-head">
      <h2>End users</h2>
      ${rows.length > 0 && html`<${CsvButton} label="CSV of end users" range=${range} groups=${["end_user"]} />`}
    </div>
    ${
      rows.length
        ? html`<${UsageTable} title="End users" exact=${exact} rows=${dearestFirst(grouped(rows, ["end_user"]))}
            columns=${[{ title: "End user", text: name }]} action=${isAdmin ? action : undefined} />`
        : html`<p class="quiet">No end users in these days. A chat front end names its end users, if its <a href=${link("tokens")}>token</a> is trusted to do so.</p>`
    }
    ${isAdmin && html`<${ForgetOne} onForget=${setForgetting} />`}
    ${
      forgetting &&
      html`<${Confirm} title="Forget this end user" action="Forget" onConfirm=${forget} onClose=${() => setForgetting("")}>
        <p>The label of <strong class="quoted">${forgetting}</strong> is removed from all jobs, and its usage and budgets are deleted. That cannot be undone.</p>
        <p class="quiet">What the images cost stays in the usage of the tokens. Images and prompts stay too.</p>
      <//>`
    }
  </section>`;
}

/** A person asks to be forgotten by the id of the front end, not by a label. @param {{onForget: (id: string) => void}} props */
function ForgetOne({ onForget }) {
  const [id, setId] = useState("");
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (id.trim()) onForget(id.trim());
  };
  return html`<details>
    <summary>Forget one by its id</summary>
    <form class="stack tight range" onSubmit=${submit}>
      <${Field} label="Id of the front end, or label" hint="Such as the address that Open WebUI sends.">
        ${(
          /** @type {any} */ ids,
        ) => html`<input ...${ids} maxlength="512" autocomplete="off" spellcheck=${false} value=${id}
          onInput=${(/** @type {any} */ event) => setId(event.target.value)} />`}
      <//>
      <p><button class="button" type="submit" disabled=${!id.trim()}>Forget</button></p>
    </form>
  </details>`;
}

/**
 * Forget an end user, with as many requests as that takes.
 *
 * @param {string} id its label, or the id that the front end sends
 */
async function forgetEndUser(id) {
  const done = { jobs: 0, open_jobs: 0, usage: 0, budgets: 0 };
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    const { data } = await request("DELETE", `${IMAGES}/end-users/${encodeURIComponent(id)}`);
    done.jobs += data.jobs;
    done.usage += data.usage;
    done.budgets += data.budgets;
    done.open_jobs = data.open_jobs;
    if (data.complete) break;
  }
  return done;
}

/** @param {{jobs: number, open_jobs: number, usage: number, budgets: number}} done */
function forgottenWords({ jobs, open_jobs: open, usage, budgets }) {
  const rows = `${formatNumber(usage)} ${usage === 1 ? "row" : "rows"} of usage`;
  const later = open ? ` ${plural(open, "job")} will follow at the end.` : "";
  return `Forgotten in ${plural(jobs, "job")}, ${rows} and ${plural(budgets, "budget")}.${later}`;
}
