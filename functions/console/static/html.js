/** Preact with templates: components are functions that return `html` templates. */

import htm from "./vendor/htm.mjs";
import { h } from "./vendor/preact.mjs";

export { Fragment, render } from "./vendor/preact.mjs";
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.mjs";

export const html = /** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */ (htm.bind(h));
