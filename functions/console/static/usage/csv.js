/** Usage as a CSV file, which the API makes. */

import { IMAGES, request } from "../api.js";
import { html, useState } from "../html.js";
import { Icon } from "../icons.js";
import { notify } from "../notices.js";

/**
 * @typedef {import("./periods.js").Range} Range
 * @typedef {import("./rows.js").Group} Group
 *
 * @param {{label?: string, range: Range, groups: Group[]}} props
 */
export function CsvButton({ label, range, groups }) {
  const [busy, setBusy] = useState(false);
  const download = () => {
    setBusy(true);
    downloadCsv(range, groups)
      .catch((failed) => notify(failed.message))
      .finally(() => setBusy(false));
  };
  return html`<button class="button" type="button" aria-label=${label} disabled=${busy} onClick=${download}><${Icon} name="download" />${busy ? "Preparing …" : "CSV"}</button>`;
}

/**
 * @param {Range} range
 * @param {Group[]} groups
 */
async function downloadCsv({ first, last }, groups) {
  const path = `${IMAGES}/usage?from=${first}&to=${last}&group_by=${groups.join(",")}`;
  const { content } = await request("GET", path, { headers: { Accept: "text/csv" } });
  const url = URL.createObjectURL(content);
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = `usage-${first}-${last}.csv`;
  anchor.click();
  URL.revokeObjectURL(url);
}
