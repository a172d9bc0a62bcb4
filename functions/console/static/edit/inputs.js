/** The input images of the next edit. They stay while other pages are shown. */

import { token } from "../api.js";
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
 * Add files. If all together are too large, each gets the same share of what a request can have.
 *
 * @param {Iterable<File>} files
 */
export async function addFiles(files) {
  const given = [...files].slice(0, MAX_INPUTS - inputs.get().length);
  const added = await Promise.all(given.map((file) => readFile(file, LIMIT)));
  const all = [...inputs.get(), ...added];
  const total = all.reduce((bytes, input) => bytes + input.bytes, 0);
  if (total <= LIMIT) return setInputs(all);
  const share = Math.floor(LIMIT / all.filter(({ file }) => file).length);
  setInputs(
    await Promise.all(all.map((input) => (input.file && input.bytes > share ? readFile(input.file, share) : input))),
  );
}

/** @param {string} key */
export const removeInput = (key) => setInputs(inputs.get().filter((input) => input.key !== key));
