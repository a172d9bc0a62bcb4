/** A bar for each day of a month. */

import { formatDay, formatUsd, plural } from "../format.js";
import { html } from "../html.js";

/** @param {{rows: import("./page.js").Row[], range: {first: string, last: string}, exact: boolean}} props */
export function Days({ rows, range, exact }) {
  const count = Number(range.last.slice(-2));
  const days = Array.from(
    { length: count },
    (_, index) => `${range.first.slice(0, 8)}${String(index + 1).padStart(2, "0")}`,
  );
  const byDay = new Map(rows.map((row) => [row.day, row]));
  // Where nothing cost anything, the bars are of images.
  const paid = rows.some((row) => Number(row.usd) > 0);
  const height = (/** @type {any} */ row) => (row ? Number(paid ? row.usd : row.images) : 0);
  const most = Math.max(...rows.map(height), Number.MIN_VALUE);
  return html`<ol class="days" aria-label=${paid ? "Cost by day" : "Images by day"}>
      ${days.map((day) => {
        const row = byDay.get(day);
        const words = `${formatDay(day)}: ${formatUsd(row?.usd ?? 0, exact)}, ${plural(row?.images ?? 0, "image")}`;
        return html`<li key=${day} title=${words}>
          <span style=${{ height: `${(height(row) / most) * 100}%` }}></span><span class="visually-hidden">${words}</span>
        </li>`;
      })}
    </ol>
    <p class="days-ends"><span>${formatDay(range.first)}</span><span>${formatDay(range.last)}</span></p>`;
}
