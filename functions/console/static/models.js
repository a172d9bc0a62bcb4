/** The models and routes that the token may use, and which fields their engines take. */

import { createSessionStore, get, token } from "./api.js";
import { ENGINE } from "./format.js";
import { useEffect } from "./html.js";
import { useStore } from "./store.js";

/**
 * @typedef {{id: string, owned_by: string, ends_on?: string}} Model
 * @typedef {{value: string, label: string, group?: string}} Choice
 */

const list = createSessionStore(/** @type {Model[] | null} */ (null));
let asked = false;

token.listen(forgetModels);

/** Ask for the list again when it is shown the next time, for example after the configuration was changed. */
export function forgetModels() {
  asked = false;
}

/** The models; null until they are known. A gateway without an engine has none. */
export function useModels() {
  useEffect(() => {
    if (asked) return;
    asked = true;
    get("v1/models").then(
      ({ data }) => list.set(data),
      () => {
        list.set([]);
        forgetModels();
      },
    );
  }, []);
  return useStore(list);
}

/**
 * Return the choices of a list of models: routes first, then the models of each engine under its name.
 *
 * @param {Model[] | null} models
 * @param {string} usual the model of requests that name none
 * @returns {Choice[]}
 */
export function modelChoices(models, usual) {
  const found = models ?? [];
  const routes = found.filter(({ owned_by }) => owned_by === "route");
  const named = found.filter(({ id, owned_by }) => id.startsWith(`${owned_by}/`));
  const listed = new Set(named.map(({ id, owned_by }) => id.slice(owned_by.length + 1)));
  const others = found.filter((model) => !routes.includes(model) && !named.includes(model) && !listed.has(model.id));
  return [
    { value: "", label: usual || "Default model" },
    ...routes.map(({ id }) => ({ value: id, label: id, group: "Routes" })),
    ...others.map(({ id }) => ({ value: id, label: id, group: "Other names" })),
    ...named.map(({ id, owned_by }) => ({
      value: id,
      label: id.slice(owned_by.length + 1),
      group: ENGINE[owned_by] ?? owned_by,
    })),
  ];
}

/**
 * Return the engine of a model of the list; empty for a route, which may have several.
 *
 * @param {Model[] | null} models
 * @param {string} id
 * @param {string} usual the engine of requests that name no model
 */
export function engineOf(models, id, usual) {
  if (!id) return usual;
  const owner = models?.find((model) => model.id === id)?.owned_by ?? "";
  return owner === "route" ? "" : owner;
}

const DIFFUSION = ["seed", "steps", "negative_prompt", "output_format"];
const FIELDS = /** @type {Record<string, string[]>} */ ({
  openai: ["quality", "background", "moderation", "output_format", "output_compression"],
  gemini: ["output_format"],
  comfyui: DIFFUSION,
  automatic1111: DIFFUSION,
});

/**
 * Return the fields that the form offers for an engine; all of them where the engine is not known.
 *
 * @param {string} engine
 */
export const fieldsOf = (engine) => FIELDS[engine] ?? [...new Set(Object.values(FIELDS).flat())];
