/** The image with its mask, on which a person paints with a mouse, a finger, a pen or the keyboard. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { drawStrokes, outlineOf } from "./strokes.js";

/** @typedef {import("./strokes.js").Stroke} Stroke */

/** Longest side of the canvas that shows the mask. The mask that is sent has the image's own size. */
const MAX_SHOWN = 2048;
const MARCH_MS = 90;

/**
 * @param {{input: import("./image_files.js").Input, strokes: Stroke[], onStroke: (stroke: Stroke) => void,
 *   tool: "brush" | "eraser" | "hand", size: number, zoom: number}} props
 */
export function Painter({ input, strokes, onStroke, tool, size, zoom }) {
  const stage = useRef(/** @type {HTMLElement | null} */ (null));
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const edge = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const current = useRef(/** @type {Stroke | null} */ (null));
  const [fit, setFit] = useState(0);
  const [cursor, setCursor] = useState(/** @type {[number, number] | null} */ (null));
  const { width, height } = input;
  const scale = fit * zoom;
  const shown = Math.min(scale * devicePixelRatio, MAX_SHOWN / Math.max(width, height));

  useLayoutEffect(() => {
    const element = /** @type {HTMLElement} */ (stage.current);
    const measure = () => {
      const { paddingLeft, paddingTop, paddingBottom } = getComputedStyle(element);
      const [across, down] = [
        2 * Number.parseFloat(paddingLeft),
        Number.parseFloat(paddingTop) + Number.parseFloat(paddingBottom),
      ];
      setFit(Math.max(0.01, Math.min((element.clientWidth - across) / width, (element.clientHeight - down) / height)));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [width, height]);

  const draw = () => {
    const target = canvas.current;
    const context = target?.getContext("2d");
    if (!target || !context) return;
    context.clearRect(0, 0, target.width, target.height);
    const all = current.current ? [...strokes, current.current] : strokes;
    drawStrokes(context, all, { scale: shown, color: getComputedStyle(target).color });
  };
  useLayoutEffect(draw, [strokes, shown]);
  useEffect(() => march(canvas.current, edge.current), [strokes, shown]);

  const at = (/** @type {MouseEvent} */ event) => {
    const box = /** @type {HTMLCanvasElement} */ (canvas.current).getBoundingClientRect();
    return /** @type {[number, number]} */ ([
      ((event.clientX - box.left) / box.width) * width,
      ((event.clientY - box.top) / box.height) * height,
    ]);
  };
  const begin = (/** @type {PointerEvent} */ event) => {
    if (tool === "hand" || event.button !== 0) return;
    /** @type {Element} */ (event.target).setPointerCapture(event.pointerId);
    current.current = { tool, size, points: [at(event)] };
    draw();
  };
  const move = (/** @type {PointerEvent} */ event) => {
    setCursor(at(event));
    if (!current.current) return;
    const events = event.getCoalescedEvents?.() ?? [];
    current.current.points.push(...(events.length ? events : [event]).map(at));
    draw();
  };
  const end = () => {
    const stroke = current.current;
    current.current = null;
    if (stroke) onStroke(stroke);
  };
  const grab = (/** @type {PointerEvent} */ event) => {
    // A finger scrolls by itself, and so do the bars beside the image.
    if (tool !== "hand" || event.button !== 0 || event.pointerType === "touch" || event.target === event.currentTarget)
      return;
    event.preventDefault();
    /** @type {Element} */ (event.currentTarget).setPointerCapture(event.pointerId);
  };
  const drag = (/** @type {PointerEvent} */ event) => {
    const element = /** @type {Element} */ (event.currentTarget);
    if (element.hasPointerCapture(event.pointerId)) element.scrollBy(-event.movementX, -event.movementY);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const step = size / 2;
    const moves = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    });
    const [x, y] = cursor ?? [width / 2, height / 2];
    if (moves[event.key]) {
      const [dx, dy] = moves[event.key];
      const next = /** @type {[number, number]} */ ([clamp(x + dx, width), clamp(y + dy, height)]);
      setCursor(next);
      if (event.shiftKey && tool !== "hand") onStroke({ tool, size, points: [[x, y], next] });
    } else if ((event.key === " " || event.key === "Enter") && tool !== "hand") {
      setCursor([x, y]);
      onStroke({ tool, size, points: [[x, y]] });
    } else return;
    event.preventDefault();
  };

  const box = { width: `${width * scale}px`, height: `${height * scale}px` };
  const pixels = { width: Math.max(1, Math.round(width * shown)), height: Math.max(1, Math.round(height * shown)) };
  return html`<div class="stage" ref=${stage} onPointerDown=${grab} onPointerMove=${drag}>
    <div class=${`stage-image ${tool}`} style=${box}>
      <img src=${input.url} alt=${input.name} draggable=${false} />
      <canvas class="mask" ref=${canvas} ...${pixels} tabindex="0" role="application"
        aria-label="Mask. Arrow keys move, the space bar paints, Shift with an arrow key paints a line"
        onPointerDown=${begin} onPointerMove=${move} onPointerUp=${end} onPointerCancel=${end}
        onPointerLeave=${() => setCursor(null)} onKeyDown=${onKeyDown}></canvas>
      <canvas class="mask-edge" ref=${edge} ...${pixels} aria-hidden="true"></canvas>
      ${
        cursor && tool !== "hand"
          ? html`<span class="brush-cursor" aria-hidden="true" style=${{
              width: `${size * scale}px`,
              height: `${size * scale}px`,
              left: `${(cursor[0] - size / 2) * scale}px`,
              top: `${(cursor[1] - size / 2) * scale}px`,
            }}></span>`
          : null
      }
    </div>
  </div>`;
}

/**
 * @param {number} value
 * @param {number} most
 */
const clamp = (value, most) => Math.max(0, Math.min(most, value));

/**
 * Draw the moving outline of the mask, until the returned function is called.
 *
 * @param {HTMLCanvasElement | null} painted
 * @param {HTMLCanvasElement | null} edge
 */
function march(painted, edge) {
  const context = edge?.getContext("2d");
  if (!painted || !edge || !context) return undefined;
  const outline = outlineOf(painted);
  const stripes = stripePattern(context);
  let offset = 0;
  const draw = () => {
    context.clearRect(0, 0, edge.width, edge.height);
    context.globalCompositeOperation = "source-over";
    context.drawImage(outline, 0, 0);
    context.globalCompositeOperation = "source-in";
    stripes.setTransform(new DOMMatrix().translate(offset, 0));
    context.fillStyle = stripes;
    context.fillRect(0, 0, edge.width, edge.height);
    offset = (offset + 1) % 8;
  };
  draw();
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return undefined;
  const timer = setInterval(draw, MARCH_MS);
  return () => clearInterval(timer);
}

/** @param {CanvasRenderingContext2D} context */
function stripePattern(context) {
  const tile = new OffscreenCanvas(8, 8);
  const drawn = /** @type {OffscreenCanvasRenderingContext2D} */ (tile.getContext("2d"));
  for (let y = 0; y < 8; y += 1) {
    for (let x = 0; x < 8; x += 1) {
      drawn.fillStyle = (x + y) % 8 < 4 ? "#fff" : "#222";
      drawn.fillRect(x, y, 1, 1);
    }
  }
  return /** @type {CanvasPattern} */ (context.createPattern(tile, "repeat"));
}
