/** The fields of the configuration: their descriptions are those of the API's own document. */

import { get } from "../api.js";

/**
 * @typedef {object} ConfigField
 * @property {string} name
 * @property {string} description
 * @property {"boolean" | "integer" | "choice" | "text" | "secret" | "json" | "workflow"} kind
 * @property {string[]} choices
 * @property {any} initial the value of a new deployment
 */

export const MASK = "********";

/** Sections in the order of the page: what each is for, which fields it has, and which engine it can verify. */
export const SECTIONS = [
  {
    id: "generation",
    title: "Generation",
    purpose: "Which engine makes images, and what it does when a request does not say.",
    match:
      /^(ENABLE_IMAGE_GENERATION|IMAGE_(GENERATION|SIZE|STEPS|ENGINE_TIMEOUT|MODEL_ALIASES|RESPONSE_FORMAT|PROVENANCE|USER_HEADER|PLAIN_END_USERS)\w*)$/,
  },
  {
    id: "edits",
    title: "Edits",
    purpose: "Which engine edits images. Servers for edits only are below, with their engines.",
    match: /^(ENABLE_IMAGE_EDIT|IMAGE_EDIT_\w+)$/,
  },
  {
    id: "openai",
    title: "OpenAI and compatible servers",
    purpose: "OpenAI, Azure, LiteLLM, and everything else with OpenAI’s Images API.",
    engine: "openai",
    match: /^IMAGES_(EDIT_)?OPENAI_/,
  },
  {
    id: "gemini",
    title: "Gemini",
    purpose: "Google’s models, by the Gemini API.",
    engine: "gemini",
    match: /^IMAGES_(EDIT_)?GEMINI_/,
  },
  {
    id: "comfyui",
    title: "ComfyUI",
    purpose: "Your own server, with a workflow that you exported from it.",
    engine: "comfyui",
    match: /^(IMAGES_EDIT_)?COMFYUI_/,
  },
  {
    id: "automatic1111",
    title: "AUTOMATIC1111",
    purpose: "AUTOMATIC1111, Forge, and servers with the same API.",
    engine: "automatic1111",
    match: /^AUTOMATIC1111_/,
  },
  {
    id: "prompts",
    title: "Prompt generation",
    purpose: "A language model can rewrite prompts before images are made.",
    match: /^(ENABLE_IMAGE_PROMPT|IMAGE_PROMPT_GENERATION)/,
  },
];

/** @type {Promise<any> | null} */
let described = null;

/**
 * Return all fields of a body, in the order of the API's document.
 *
 * @param {"ImagesConfig" | "ConnectionForm"} body
 * @returns {Promise<ConfigField[]>}
 */
export async function readFields(body) {
  described ??= get("openapi.json");
  try {
    const { properties } = (await described).components.schemas[body];
    return Object.entries(properties).map(([name, schema]) => fieldOf(name, schema));
  } catch (problem) {
    described = null;
    throw problem;
  }
}

/**
 * @param {string} name
 * @param {any} schema
 * @returns {ConfigField}
 */
function fieldOf(name, schema) {
  const variants = schema.anyOf ?? [schema];
  const types = new Set(variants.map((/** @type {any} */ variant) => variant.type));
  const choices = variants.flatMap((/** @type {any} */ variant) => variant.enum ?? []);
  const kind = /_(KEY|AUTH)$|^key$/.test(name)
    ? "secret"
    : /_WORKFLOW$/.test(name)
      ? "workflow"
      : choices.length
        ? "choice"
        : types.has("boolean")
          ? "boolean"
          : types.has("integer")
            ? "integer"
            : types.has("object") || types.has("array")
              ? "json"
              : "text";
  return { name, description: schema.description ?? "", kind, choices, initial: schema.default ?? null };
}

/**
 * Return a value as the text that is shown in its input.
 *
 * @param {ConfigField} field
 * @param {any} value
 */
export function shown(field, value) {
  if (value === null || value === undefined) return "";
  if (field.kind === "json") return isEmpty(value) ? "" : JSON.stringify(value, null, 2);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** @param {any} value */
const isEmpty = (value) => typeof value === "object" && Object.keys(value).length === 0;

/**
 * Return the value of a field for the text of its input.
 *
 * @param {ConfigField} field
 * @param {string} text
 * @throws {SyntaxError} the text should be JSON, and is not
 */
export function parsedValue(field, text) {
  if (field.kind === "boolean") return text === "true";
  if (field.kind === "integer") return text.trim() ? Number(text) : field.initial;
  if (field.kind === "json") return text.trim() ? JSON.parse(text) : (field.initial ?? null);
  if (text === "" && field.initial === null) return null;
  return text;
}

/**
 * Return the name of a field as a label: `IMAGES_OPENAI_API_BASE_URL` of the section OpenAI is "Base URL".
 *
 * @param {string} name
 */
export function labelOf(name) {
  const edit = /^IMAGES_EDIT_/.test(name) ? " for edits" : "";
  const rest = name
    .replace(/^IMAGES_(EDIT_)?(OPENAI|GEMINI)_(API_)?/, "")
    .replace(/^(IMAGES_EDIT_)?COMFYUI_/, "")
    .replace(/^AUTOMATIC1111_(API_)?/, "")
    .replace(/^(ENABLE_)?IMAGE_(EDIT_|GENERATION_|PROMPT_GENERATION_)?/, "$1")
    .replace(/url/, "URL")
    .replace(/api/, "API");
  const words = rest.replace(/^ENABLE_$|^ENABLE_(EDIT|GENERATION|PROMPT_GENERATION)$/, "Enabled").split("_");
  const text =
    words
      .map((word) => (["URL", "API"].includes(word) ? word : word.toLowerCase()))
      .join(" ")
      .trim() || "enabled";
  return `${text[0].toUpperCase()}${text.slice(1)}${edit}`;
}
