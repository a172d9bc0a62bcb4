/** Icons of 20 by 20 units, drawn with lines in the color of the text. */

import { html } from "./html.js";

const PATHS = /** @type {Record<string, string>} */ ({
  again: "M15.5 8A6 6 0 1 0 16 11.5M16 4v4h-4",
  arrow: "M4 10h12M11 5l5 5-5 5",
  brush: "M16 3.5 8.5 11M9 11c1.5.5 2 1.7 1.5 3-.6 1.7-2.5 2.5-6 2.5 1.2-1 1-2.2 1.2-3.400C6 11.5 7.5 10.6 9 11Z",
  check: "m4 10.5 4 4 8-9",
  chevron: "m6 8 4 4 4-4",
  clear: "M4 5.5h12M8 5.5V4h4v1.5M5.5 5.5l.7 11h7.600l.7-11M8.5 9v4.5M11.5 9v4.5",
  close: "m5 5 10 10M15 5 5 15",
  compare: "M10 2.5v15M3.5 5h4v10h-4zM12.5 5h4v10h-4",
  copy: "M7 7V4.5A1.5 1.5 0 0 1 8.5 3h7A1.5 1.5 0 0 1 17 4.5v7a1.5 1.5 0 0 1-1.5 1.5H13M4.5 7h7A1.5 1.5 0 0 1 13 8.5v7a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 3 15.5v-7A1.5 1.5 0 0 1 4.5 7Z",
  create:
    "M10 3v4M10 13v4M3 10h4M13 10h4M5.5 5.5 7.7 7.700M12.3 12.300l2.2 2.200M14.5 5.5l-2.2 2.200M7.7 12.300l-2.2 2.2",
  download: "M10 3v9.5M6 9l4 4 4-4M3.5 16.5h13",
  edit: "m3.5 16.5.8-3.6 9-9a1.6 1.6 0 0 1 2.3 0l.5.5a1.6 1.6 0 0 1 0 2.300l-9 9z M11.5 5.700l2.8 2.8",
  eraser:
    "m8 16.5-4.2-4.200a1.5 1.5 0 0 1 0-2.100l6.5-6.5a1.5 1.5 0 0 1 2.1 0l3.9 3.900a1.5 1.5 0 0 1 0 2.100L10 16.5zM7 7l6 6M8 16.5h8.5",
  gallery: "M3.5 3.5h5v5h-5zM11.5 3.5h5v5h-5zM3.5 11.5h5v5h-5zM11.5 11.5h5v5h-5z",
  grip: "M8 5h.01M12 5h.01M8 10h.01M12 10h.01M8 15h.01M12 15h.01",
  hand: "M6.5 11V5.5a1.2 1.2 0 0 1 2.4 0V9m0-.5v-4a1.2 1.2 0 0 1 2.4 0V9m0-.5V5.5a1.2 1.2 0 0 1 2.4 0v5m0-1.5a1.2 1.2 0 0 1 2.3 0v3c0 3-1.5 5-4.5 5-2.5 0-3.5-1-4.5-2.800L4 11.5c-.7-1.3.9-2.3 1.8-1.200z",
  health: "M2.5 10h3.5l2-5 4 10 2-5h3.5",
  key: "M8.5 11.5a3.8 3.8 0 1 1 1.7-1.700l6.3 6.200v1.5H14v-2h-2v-2h-2z M6 6.5h.01",
  minus: "M4 10h12",
  more: "M5 10h.01M10 10h.01M15 10h.01",
  plus: "M10 4v12M4 10h12",
  setup: "M3.5 6h7M14.5 6h2M3.5 14h2M9.5 14h7M12.5 4v4M7.5 12v4",
  sun: "M10 6.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7ZM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.300l1.1 1.100M14.6 14.600l1.1 1.100M15.7 4.300l-1.1 1.100M5.4 14.600l-1.1 1.1",
  undo: "M4 8h8a4 4 0 0 1 0 8H7M4 8l3.5-3.5M4 8l3.5 3.5",
  upload: "M10 13V3.5M6 7l4-4 4 4M3.5 16.5h13",
  usage: "M4 16.5V10M8 16.5V5.5M12 16.5v-8M16 16.5v-5",
  user: "M10 10a3.3 3.3 0 1 0 0-6.600A3.3 3.3 0 0 0 10 10ZM3.5 17c.8-3 3.3-4.5 6.5-4.5s5.7 1.5 6.5 4.5",
  warning: "M10 3 17.5 16.5h-15zM10 8v4M10 14.200h.01",
});

/** @param {{name: string, size?: number}} props */
export function Icon({ name, size = 20 }) {
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
    <path d=${PATHS[name]} />
  </svg>`;
}
