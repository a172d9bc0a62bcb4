/** A bar for each day of a range. */

import { formatDay, formatNumber, plural } from "../format.js";
import { html } from "../html.js";
import { formatUsd, thousandths } from "../money.js";
import { daysOf } from "./periods.js";

/** From how many days on there is no room between the bars. */
const DENSE = 62;

/** @param {{rows: import("./rows.js").Row[], range: import("./periods.js").Range, exact: boolean}} props */
export function Days({ rows, range, exact }) {
  const days = daysOf(range);
  const byDay = new Map(rows.map((row) => [row.day, row]));
  // Where nothing cost anything, the bars are of images.
  const paid = rows.some(({ spent }) => spent > 0n);
  const height = (/** @type {any} */ row) => (!row ? 0n : paid ? row.spent : BigInt(row.images));
  let most = 0n;
  for (const row of rows) if (height(row) > most) most = height(row);
  const highest = paid ? formatUsd(most, exact) : formatNumber(Number(most));
  return html`<ol class=${`days${days.length > DENSE ? " dense" : ""}`} aria-label=${paid ? "Cost by day" : "Images by day"}>
      ${days.map((day) => {
        const row = byDay.get(day);
        const words = `${formatDay(day)}: ${formatUsd(row?.spent ?? 0n, exact)}, ${plural(row?.images ?? 0, "image")}`;
        return html`<li key=${day} title=${words}>
          <span class=${height(row) > 0n ? "some" : ""} style=${{ height: `${thousandths(height(row), most) / 10}%` }}></span><span class="visually-hidden">${words}</span>
        </li>`;
      })}
    </ol>
    <p class="days-ends"><span>${formatDay(range.first)}</span><span>at most ${highest} a day</span><span>${formatDay(range.last)}</span></p>`;
}
