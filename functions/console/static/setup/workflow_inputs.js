/** The node map of a ComfyUI workflow as rows of a table, and the inputs that a row can choose from. */

/**
 * @typedef {{key: string, node_ids: string[]}} Place one or several inputs with the same name
 *
 * @typedef {object} Row
 * @property {string} type what of a request it takes
 * @property {Place | null} place null: it is left as the workflow has it
 * @property {boolean} sure
 * @property {string} why
 * @property {(Place & {why: string})[]} proposed the proposal and its alternatives
 *
 * @typedef {Place & {label: string}} Choice
 */

export const TYPES = /** @type {Record<string, string>} */ ({
  prompt: "Prompt",
  negative_prompt: "Negative prompt",
  model: "Model",
  width: "Width",
  height: "Height",
  n: "Number of images",
  steps: "Steps",
  seed: "Seed",
  image: "Input image",
  mask: "Mask",
  output: "Output",
});

/**
 * Return the rows for what an inspection proposes, with the doubtful ones first.
 *
 * @param {any[]} nodes
 * @returns {Row[]}
 */
export function rowsOf(nodes) {
  const rows = nodes.map(({ type, key, node_ids, sure, why, alternatives }) => ({
    type,
    place: { key, node_ids },
    sure,
    why,
    proposed: [{ key, node_ids, why }, ...alternatives],
  }));
  return rows.sort((one, other) => Number(one.sure) - Number(other.sure));
}

/**
 * Return the node map, as it is stored.
 *
 * @param {Row[]} rows
 */
export const mapOf = (rows) =>
  rows.flatMap(({ type, place }) => (place ? [{ type, key: place.key, node_ids: place.node_ids }] : []));

/**
 * Return all inputs of a workflow that take a value, and its nodes as outputs.
 *
 * @param {Record<string, {class_type: string, inputs: Record<string, any>, _meta?: {title?: string}}>} workflow
 * @returns {{inputs: Choice[], outputs: Choice[]}}
 */
export function entriesOf(workflow) {
  const nodes = Object.entries(workflow);
  const named = (/** @type {string} */ id) => workflow[id]._meta?.title || workflow[id].class_type;
  // An input with a list is linked to another node's output, and takes no value.
  const inputs = nodes.flatMap(([id, { inputs: all }]) =>
    Object.entries(all)
      .filter(([, value]) => !Array.isArray(value))
      .map(([key]) => ({ key, node_ids: [id], label: `${named(id)} (${id}), ${key}` })),
  );
  return { inputs, outputs: nodes.map(([id]) => ({ key: "", node_ids: [id], label: `${named(id)} (${id})` })) };
}

/** @param {Place} place */
export const placeId = ({ key, node_ids }) => JSON.stringify([key, node_ids]);

/** @param {Place} place */
export const placeText = ({ key, node_ids }) => `Node ${node_ids.join(", ")}${key ? `, ${key}` : ""}`;
