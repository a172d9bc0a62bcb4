/** The console: signs in, then shows the page that the address names. */

import { token } from "./api.js";
import { ErrorNote, Loading } from "./controls.js";
import { Create } from "./create/page.js";
import { deferred } from "./deferred.js";
import { Frame } from "./frame.js";
import { html, render, useEffect, useState } from "./html.js";
import { route } from "./router.js";
import { account, refreshAccount } from "./session.js";
import { SignIn } from "./sign_in.js";
import { useStore } from "./store.js";

const Edit = deferred(async () => (await import("./edit/page.js")).Edit);
const Gallery = deferred(async () => (await import("./gallery/page.js")).Gallery);
const Setup = deferred(async () => (await import("./setup/page.js")).Setup);
const Usage = deferred(async () => (await import("./usage/page.js")).Usage);
const Tokens = deferred(async () => (await import("./tokens/page.js")).Tokens);
const Health = deferred(async () => (await import("./health.js")).Health);

/** @type {import("./frame.js").Page[]} */
const PAGES = [
  { id: "create", title: "Create", icon: "create", page: Create },
  { id: "edit", title: "Edit", icon: "edit", page: Edit },
  { id: "gallery", title: "Gallery", icon: "gallery", page: Gallery },
  { id: "setup", title: "Set up", icon: "setup", admin: true, page: Setup },
  { id: "usage", title: "Usage", icon: "usage", page: Usage },
  { id: "tokens", title: "Tokens", icon: "key", admin: true, page: Tokens },
  { id: "health", title: "Health", icon: "health", admin: true, page: Health },
];

function Console() {
  const signedIn = useStore(token);
  const known = useStore(account);
  const parts = useStore(route);
  const [problem, setProblem] = useState(/** @type {any} */ (null));

  const readAccount = () => {
    setProblem(null);
    refreshAccount().catch(setProblem);
  };
  useEffect(() => {
    if (signedIn && !known) readAccount();
  }, [signedIn]);

  if (!signedIn) return html`<${SignIn} />`;
  if (problem) return html`<main class="sign-in"><${ErrorNote} problem=${problem} onRetry=${readAccount} /></main>`;
  if (!known) return html`<main class="sign-in"><${Loading} /></main>`;
  // What a token may not do is not shown.
  const pages = PAGES.filter((page) => !page.admin || known.role === "admin");
  const current = pages.find((page) => page.id === parts[0]) ?? pages[0];
  return html`<${Frame} pages=${pages} current=${current} account=${known}>
    <${current.page} account=${known} parts=${parts.slice(1)} />
  <//>`;
}

const root = /** @type {HTMLElement} */ (document.getElementById("console"));
root.replaceChildren();
render(html`<${Console} />`, root);
