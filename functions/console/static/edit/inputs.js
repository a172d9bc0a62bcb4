/** The input images of the next edit. They stay while other pages are shown. */

import { Problem, token } from "../api.js";
import { formatNumber } from "../format.js";
import { entries } from "../jobs.js";
import { createStore } from "../store.js";
import { LIMIT, readFile } from "./image_files.js";

/** @typedef {import("./image_files.js").Input} Input */

export const inputs = createStore(/** @type {Input[]} */ ([]));

/** Most input images of one edit. */
export const MAX_INPUTS = 16;

token.listen(() => {
  if (!token.get()) setInputs([]);
});

/** @param {Input[]} next */
function setInputs(next) {
  const kept = new Set(next.map(({ url }) => url));
  // Results are compared with their originals also when those are no inputs any more.
  for (const { original } of entries.get()) kept.add(original ?? "");
  for (const { url } of inputs.get()) {
    if (url.startsWith("blob:") && !kept.has(url)) URL.revokeObjectURL(url);
  }
  inputs.set(next);
}

/**
 * Take stored images as the inputs, by their ids.
 *
 * @param {import("../jobs.js").Image[]} images
 */
export function takeInputs(images) {
  setInputs(
    images.map(({ id, name, url, width = 0, height = 0 }) => ({
      key: id,
      name,
      url,
      width,
      height,
      data: id,
      bytes: 0,
      note: "",
    })),
  );
}

/**
 * Add files. Those that cannot be used leave the others as they are.
 *
 * @param {Iterable<File>} files
 * @throws {Problem} the first that was wrong with them, after the others were added
 */
export async function addFiles(files) {
  const free = MAX_INPUTS - inputs.get().length;
  const given = [...files];
  const read = await Promise.allSettled(given.slice(0, free).map((file) => readFile(file, LIMIT)));
  await setFitting([
    ...inputs.get(),
    ...read.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
  ]);
  for (const result of read) if (result.status === "rejected") throw result.reason;
  if (given.length > free) {
    throw new Problem("Not all files were added", `An edit takes ${formatNumber(MAX_INPUTS)} images at most.`);
  }
}

/**
 * Set the inputs. If all together are too large, each gets the same share of what a request can have.
 *
 * @param {Input[]} all
 */
async function setFitting(all) {
  const total = all.reduce((bytes, input) => bytes + input.bytes, 0);
  if (total <= LIMIT) return setInputs(all);
  const share = Math.floor(LIMIT / all.filter(({ file }) => file).length);
  setInputs(
    await Promise.all(all.map((input) => (input.file && input.bytes > share ? readFile(input.file, share) : input))),
  );
}

/** @param {string} key */
export const removeInput = (key) => setInputs(inputs.get().filter((input) => input.key !== key));
