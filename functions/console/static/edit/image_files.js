/** Images from the disk as the API takes them: large ones are scaled down here, and that is said. */

import { Problem } from "../api.js";
import { formatBytes, formatNumber } from "../format.js";

/**
 * @typedef {object} Input
 * @property {string} key
 * @property {string} name
 * @property {string} url to show it; empty where the browser cannot
 * @property {number} width in pixels; 0 where it is not known
 * @property {number} height
 * @property {string} data what the request has: a data URL, or the id of a stored image
 * @property {number} bytes of the encoded file; 0 for a stored image
 * @property {string} note what was done to it
 * @property {File} [file] where it came from
 */

/** Bytes of all files of one request: as base64, and with a mask, they fit into an event of Lambda (6 MB). */
export const LIMIT = 4_000_000;
const MAX_PIXELS = 50_000_000;
const SIDES = [4096, 3072, 2048, 1536, 1024, 768];
const TYPES = new Set(["image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp"]);

let count = 0;

/**
 * @param {File} file
 * @param {number} limit bytes
 * @returns {Promise<Input>}
 * @throws {Problem} it is no image, or too large and of a kind that this browser cannot scale down
 */
export async function readFile(file, limit) {
  count += 1;
  const input = { key: `file-${count}`, name: file.name || "Pasted image", bytes: file.size, note: "", file };
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return unreadable(input, file, limit);
  const { width, height } = bitmap;
  if (file.size <= limit && width * height <= MAX_PIXELS && TYPES.has(file.type)) {
    bitmap.close();
    return { ...input, width, height, url: URL.createObjectURL(file), data: await dataUrl(file) };
  }
  const { blob, canvas } = await scaled(bitmap, file, limit);
  bitmap.close();
  const [from, to] = [size(width, height), size(canvas.width, canvas.height)];
  const how = from === to ? "Saved again" : `Scaled down from ${from} to ${to}`;
  const note = `${how}: ${formatBytes(file.size)} became ${formatBytes(blob.size)}, which the API takes.`;
  return {
    ...input,
    width: canvas.width,
    height: canvas.height,
    bytes: blob.size,
    url: URL.createObjectURL(blob),
    data: await dataUrl(blob),
    note,
  };
}

/**
 * @param {number} width
 * @param {number} height
 */
const size = (width, height) => `${formatNumber(width)} × ${formatNumber(height)}`;

/**
 * @param {any} input
 * @param {File} file
 * @param {number} limit
 * @returns {Promise<Input>}
 */
async function unreadable(input, file, limit) {
  const isImage = file.type.startsWith("image/") || /\.(heic|heif|tiff?)$/i.test(file.name);
  if (!isImage) throw new Problem(`${input.name} is not an image`, "Choose a PNG, JPEG, WebP, AVIF, GIF or HEIC file.");
  if (file.size > limit) {
    const detail = `This browser cannot scale it down, and ${formatBytes(file.size)} are too much for the API. Save it as a JPEG first.`;
    throw new Problem(`${input.name} cannot be read here`, detail);
  }
  const note = "This browser cannot show it. It is sent as it is, and a mask cannot be painted.";
  return { ...input, width: 0, height: 0, url: "", data: await dataUrl(file), note };
}

/**
 * @param {ImageBitmap} bitmap
 * @param {File} file
 * @param {number} limit
 */
async function scaled(bitmap, file, limit) {
  // A PNG or WebP may be transparent, which a JPEG cannot be.
  const type = file.type === "image/jpeg" ? "image/jpeg" : "image/webp";
  for (const side of SIDES) {
    const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await canvas.convertToBlob({ type, quality: 0.9 });
    if (blob.size <= limit) return { blob, canvas };
  }
  throw new Problem(`${file.name} is too large`, "Even scaled down it does not fit into a request with the others.");
}

/**
 * @param {Blob} blob
 * @returns {Promise<string>}
 */
export function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
