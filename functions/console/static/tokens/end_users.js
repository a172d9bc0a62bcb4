/** Whether a token may say who its end users are. */

import { Switch } from "../controls.js";
import { html, useId } from "../html.js";

/** @param {{forwards: boolean, onForwards: (on: boolean) => void}} props */
export function EndUserInputs({ forwards, onForwards }) {
  const id = useId();
  return html`<div class="field wide">
    <${Switch} label="Forwards end users" checked=${forwards} describedBy=${id} onChange=${onForwards} />
    <p class="hint" id=${id}>For a chat front end that many people use, such as Open WebUI: the gateway believes whom it says that a request is for.</p>
  </div>`;
}
