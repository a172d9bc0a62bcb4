/** The strokes of a mask, in pixels of the image, and the mask that they make. */

/**
 * @typedef {object} Stroke
 * @property {"brush" | "eraser"} tool
 * @property {number} size diameter
 * @property {[number, number][]} points
 *
 * @typedef {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} Context
 */

/**
 * Draw strokes one after another: a brush adds to the mask, an eraser takes away.
 *
 * @param {Context} context
 * @param {Stroke[]} strokes
 * @param {{scale?: number, color?: string}} [options]
 */
export function drawStrokes(context, strokes, { scale = 1, color = "#000" } = {}) {
  context.save();
  context.scale(scale, scale);
  context.lineCap = "round";
  context.lineJoin = "round";
  context.strokeStyle = color;
  for (const { tool, size, points } of strokes) {
    context.globalCompositeOperation = tool === "brush" ? "source-over" : "destination-out";
    context.lineWidth = size;
    context.beginPath();
    // A line without a length would not be drawn: a dot is a very short one.
    context.moveTo(points[0][0] - 0.01, points[0][1]);
    for (const point of points) context.lineTo(...point);
    context.stroke();
  }
  context.restore();
}

/**
 * Return the mask as the API takes it: a PNG of the image's size, transparent where it is to be edited.
 *
 * @param {Stroke[]} strokes
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Blob>}
 */
export function maskOf(strokes, width, height) {
  const painted = new OffscreenCanvas(width, height);
  drawStrokes(contextOf(painted), strokes);
  const mask = new OffscreenCanvas(width, height);
  const context = contextOf(mask);
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(painted, 0, 0);
  return mask.convertToBlob({ type: "image/png" });
}

/**
 * Return the outline of what is painted on a canvas, as a canvas of the same size.
 *
 * @param {HTMLCanvasElement} painted
 */
export function outlineOf(painted) {
  const outline = new OffscreenCanvas(painted.width, painted.height);
  const context = contextOf(outline);
  for (const [x, y] of [
    [-1, -1],
    [0, -1.5],
    [1, -1],
    [1.5, 0],
    [1, 1],
    [0, 1.5],
    [-1, 1],
    [-1.5, 0],
  ]) {
    context.drawImage(painted, x, y);
  }
  context.globalCompositeOperation = "destination-out";
  context.drawImage(painted, 0, 0);
  return outline;
}

/** @param {OffscreenCanvas} canvas */
const contextOf = (canvas) => /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
