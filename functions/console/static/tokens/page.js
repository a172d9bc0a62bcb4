/** Tokens: who may use the gateway, and what for. */

import { get, IMAGES, request } from "../api.js";
import { Confirm, Empty, ErrorNote, Loading } from "../controls.js";
import { ENGINE, formatAgo, formatDay, formatMoment } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { Icon } from "../icons.js";
import { notify } from "../notices.js";
import { LimitDialog, LimitWords } from "./limits.js";
import { NewToken } from "./new_token.js";

/**
 * @typedef {object} Listed
 * @property {string} id
 * @property {string} name
 * @property {"user" | "admin"} role
 * @property {string} created_at
 * @property {string | null} expires_at
 * @property {string | null} last_used_at
 * @property {string[] | null} engines
 * @property {string[] | null} models
 * @property {string[] | null} [connections]
 * @property {string[] | null} [routes]
 * @property {boolean} [forwards_users] whether it is trusted to say who its end users are
 * @property {import("../budgets.js").Budget | null} [end_user_budget] what each of them may spend
 *
 * @typedef {Listed & import("../budgets.js").LimitState} Token
 */

const COLUMNS = ["Name", "Role", "May use", "Limits", "Last used", "Expires"];

/** @param {{account: import("../session.js").Account}} props */
export function Tokens({ account }) {
  const [tokens, setTokens] = useState(/** @type {Token[] | null} */ (null));
  const [cursor, setCursor] = useState(/** @type {string | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [making, setMaking] = useState(false);
  const [limited, setLimited] = useState(/** @type {Token | null} */ (null));
  const [revoking, setRevoking] = useState(/** @type {Token | null} */ (null));

  const read = (/** @type {string | null} */ from) => {
    setProblem(null);
    get(`${IMAGES}/tokens?limit=100${from ? `&cursor=${from}` : ""}`).then((page) => {
      setTokens((now) => (from ? [...(now ?? []), ...page.tokens] : page.tokens));
      setCursor(page.cursor ?? null);
    }, setProblem);
  };
  useEffect(() => read(null), []);

  const revoke = async () => {
    const { id, name } = /** @type {Token} */ (revoking);
    await request("DELETE", `${IMAGES}/tokens/${id}`);
    setTokens((now) => now?.filter((token) => token.id !== id) ?? null);
    notify(`${name} is revoked. It stops working within a minute.`);
  };

  const onLimited = (/** @type {Token} */ changed) => {
    setTokens((now) => now?.map((token) => (token.id === changed.id ? changed : token)) ?? null);
    setLimited(null);
    notify(`${changed.name} has its limits.`);
  };

  return html`<header class="page-head">
      <div>
        <h1>Tokens</h1>
        <p class="quiet">Each caller has a token of its own, so that one can be limited or revoked without the others.</p>
      </div>
      <button class="button primary" type="button" onClick=${() => setMaking(true)}><${Icon} name="plus" />New token</button>
    </header>
    <${ErrorNote} problem=${problem} onRetry=${() => read(cursor)} />
    ${!tokens && !problem && html`<${Loading} />`}
    ${tokens?.length === 0 && html`<${Empty} title="No tokens" icon="key"><p class="quiet">Make the first one.</p><//>`}
    ${
      tokens?.length
        ? html`<div class="scroll-x" tabindex="0" role="region" aria-label="Tokens">
      <table class="table folds">
        <thead><tr>${COLUMNS.map((name) => html`<th key=${name} scope="col">${name}</th>`)}<th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
        <tbody>${tokens.map(
          (token) => html`<${Row} key=${token.id} token=${token} own=${`token:${token.id}` === account.owner}
          onLimit=${() => setLimited(token)} onRevoke=${() => setRevoking(token)} />`,
        )}</tbody>
      </table>
    </div>`
        : null
    }
    ${cursor && html`<button class="button" type="button" onClick=${() => read(cursor)}>Show more</button>`}
    ${making && html`<${NewToken} onClose=${() => setMaking(false)} onMade=${(/** @type {Token} */ made) => setTokens([made, ...(tokens ?? [])])} />`}
    ${limited && html`<${LimitDialog} token=${limited} onClose=${() => setLimited(null)} onSaved=${onLimited} />`}
    ${
      revoking &&
      html`<${Confirm} title="Revoke this token" action=${`Revoke ${revoking.name}`} onConfirm=${revoke} onClose=${() => setRevoking(null)}>
      <p>Whoever uses <strong>${revoking.name}</strong> is refused from then on. Its jobs and images stay. A revoked token cannot be restored.</p>
    <//>`
    }`;
}

/** @param {{token: Token, own: boolean, onLimit: () => void, onRevoke: () => void}} props */
function Row({ token, own, onLimit, onRevoke }) {
  const expired = token.expires_at !== null && Date.parse(token.expires_at) < Date.now();
  return html`<tr>
    <td><span class="token-name">${token.name}</span>${own && html`<span class="role">yours</span>`}${token.forwards_users && html`<span class="role">forwards end users</span>`}
      <span class="quiet small block">since ${formatDay(token.created_at)}</span></td>
    <td data-label="Role">${token.role}</td>
    <td data-label="May use"><div>${limits(token)}</div></td>
    <td data-label="Limits" class="figures"><div><${LimitWords} limits=${token} /></div></td>
    <td data-label="Last used" title=${token.last_used_at ? formatMoment(token.last_used_at) : undefined}>${token.last_used_at ? formatAgo(token.last_used_at) : "Never"}</td>
    <td data-label="Expires">${!token.expires_at ? "Never" : expired ? "Expired" : formatMoment(token.expires_at)}</td>
    <td class="end row-actions"><button class="button small" type="button" aria-label=${`Limit ${token.name}`} onClick=${onLimit}>Limit</button><button class="button small" type="button" aria-label=${`Revoke ${token.name}`} onClick=${onRevoke}>Revoke</button></td>
  </tr>`;
}

/** @param {Token} token */
function limits({ engines, models, connections, routes }) {
  const names = [
    ...(engines ?? []).map((name) => ENGINE[name] ?? name),
    ...(connections ?? []),
    ...(routes ?? []),
    ...(models ?? []),
  ];
  if (!names.length) return "Everything";
  return names.map((name) => html`<span class="tag-chip" key=${name}>${name}</span>`);
}
