/** The frame of all pages: the rail, the header and the theme. */

import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { Notices } from "./notices.js";
import { link } from "./router.js";
import { signOut } from "./session.js";

const THEMES = ["system", "light", "dark"];
const THEME_KEY = "image-gateway-theme";

/** @param {string} theme */
function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

apply(localStorage.getItem(THEME_KEY) ?? "system");

function Theme() {
  const [theme, setTheme] = useState(localStorage.getItem(THEME_KEY) ?? "system");
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  const change = () => {
    localStorage.setItem(THEME_KEY, next);
    apply(next);
    setTheme(next);
  };
  return html`<button class="icon-button" type="button" onClick=${change}
    aria-label=${`Colors: ${theme}. Change to ${next}`} title=${`Colors: ${theme}`}><${Icon} name="sun" /></button>`;
}

/**
 * @typedef {{id: string, title: string, icon: string, admin?: boolean, page: any}} Page
 *
 * @param {{pages: Page[], current: Page, account: import("./session.js").Account, children: any}} props
 */
export function Frame({ pages, current, account, children }) {
  useEffect(() => {
    document.title = `${current.title} · ${account.deployment}`;
  }, [current.title, account.deployment]);
  const toContent = (/** @type {Event} */ event) => {
    event.preventDefault();
    document.getElementById("content")?.focus();
  };
  return html`<div class="frame">
    <a class="skip" href="#content" onClick=${toContent}>Skip to the content</a>
    <nav class="rail" aria-label="Pages">
      <span class="mark" aria-hidden="true"></span>
      ${pages.map(
        (
          page,
        ) => html`<a key=${page.id} href=${link(page.id)} aria-current=${page.id === current.id ? "page" : undefined}>
          <${Icon} name=${page.icon} size="22" /><span>${page.title}</span>
        </a>`,
      )}
    </nav>
    <header class="top">
      <p class="deployment">${account.deployment}</p>
      <p class="who"><span class="who-name">${account.name}</span><span class="role">${account.role}</span></p>
      <${Theme} />
      <button class="button quiet" type="button" onClick=${signOut}>Sign out</button>
    </header>
    <main id="content" tabindex="-1" class=${`page page-${current.id}`}>${children}</main>
    <${Notices} />
  </div>`;
}
