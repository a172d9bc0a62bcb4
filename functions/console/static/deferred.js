/** Pages whose modules are imported when they are first shown: most visits show one or two pages. */

import { ErrorNote, Loading } from "./controls.js";
import { html, useEffect, useState } from "./html.js";

/**
 * Return a component that imports another one when it is first shown, and then shows it with the same properties.
 *
 * @param {() => Promise<any>} load imports the component
 */
export function deferred(load) {
  /** @type {any} */
  let component = null;

  /** @param {any} props */
  return function Deferred(props) {
    const [, setLoaded] = useState(false);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (component) return;
      load().then(
        (loaded) => {
          component = loaded;
          setLoaded(true);
        },
        () => setFailed(true),
      );
    }, []);

    if (component) return html`<${component} ...${props} />`;
    if (!failed) return html`<${Loading} />`;
    return html`<${ErrorNote} problem=${{ title: "This page could not be loaded" }} onRetry=${() => location.reload()} />`;
  };
}
