/** Edit: images from images, a prompt, and a mask where only a part may change. */

import { createSessionStore } from "../api.js";
import { bodyOf, Composer } from "../composer.js";
import { Empty, ErrorNote } from "../controls.js";
import { SwitchedOff } from "../create/page.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Icon } from "../icons.js";
import { JobCards } from "../job_card.js";
import { again, entries, ratioOf, resume, submit } from "../jobs.js";
import { useStore } from "../store.js";
import { Compare } from "./compare.js";
import { dataUrl } from "./image_files.js";
import { ChooseFiles, InputStrip } from "./input_strip.js";
import { addFiles, inputs, takeInputs } from "./inputs.js";
import { Painter } from "./painter.js";
import { maskOf } from "./strokes.js";
import { afterKey, Toolbar } from "./toolbar.js";

/** @typedef {import("./strokes.js").Stroke} Stroke */
/** @typedef {import("./toolbar.js").Tools} Tools */

const draft = createSessionStore(/** @type {import("../composer.js").Choices} */ ({}));
/** The strokes by the input that they are painted on. */
const painted = createSessionStore(/** @type {{key: string, strokes: Stroke[]}} */ ({ key: "", strokes: [] }));

/** @param {{account: import("../session.js").Account}} props */
export function Edit({ account }) {
  const choices = useStore(draft);
  const given = useStore(inputs);
  const mask = useStore(painted);
  const jobs = useStore(entries).filter(({ kind }) => kind === "edit");
  const [tools, setTools] = useState(/** @type {Tools} */ ({ tool: "brush", size: 60, zoom: 1 }));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [compared, setCompared] = useState(/** @type {{result: any, original: string} | null} */ (null));
  const [over, setOver] = useState(false);
  const first = given[0];
  const strokes = first && mask.key === first.key ? mask.strokes : [];

  useEffect(() => {
    resume(account).catch(() => {});
  }, [account.owner]);

  const add = (/** @type {Iterable<File>} */ files) => {
    setProblem(null);
    setCompared(null);
    addFiles(files).catch(setProblem);
  };
  usePaste(add);
  const undo = () => painted.set({ key: first.key, strokes: strokes.slice(0, -1) });
  const paint = (/** @type {Stroke} */ stroke) => painted.set({ key: first.key, strokes: [...strokes, stroke] });

  const send = async () => {
    const body = { ...bodyOf(choices), image: given.map(({ data }) => data) };
    const isPainted = strokes.some(({ tool }) => tool === "brush");
    const withMask = isPainted ? { mask: await dataUrl(await maskOf(strokes, first.width, first.height)) } : {};
    const ratio = ratioOf(null, choices.aspect_ratio) ?? (first.width ? first.width / first.height : 1);
    submit("edit", { ...body, ...withMask }, { ratio, original: first.url });
  };
  const use = (/** @type {import("../jobs.js").Image} */ image) => {
    setCompared(null);
    takeInputs([image]);
    document.getElementById("inputs")?.scrollIntoView({ block: "start" });
  };
  const compare = (/** @type {any} */ result) => {
    const original = jobs.find(({ job }) => job?.images.some(({ id }) => id === result.id))?.original;
    if (!original) return;
    setCompared({ result, original });
    document.getElementById("inputs")?.scrollIntoView({ block: "start" });
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches("input, select, textarea")) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "z") return strokes.length ? undo() : undefined;
    const next = afterKey(event, tools);
    if (next) setTools(next);
  };
  const onDrop = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer?.files.length) add(event.dataTransfer.files);
  };

  const onDragOver = (/** @type {Event} */ event) => {
    event.preventDefault();
    setOver(true);
  };

  return html`<h1 class="visually-hidden">Edit</h1>
    ${!account.edit.enabled && html`<${SwitchedOff} account=${account} what="Editing" />`}
    <div id="inputs" class=${`drop${over ? " over" : ""}`} onKeyDown=${onKeyDown} onDrop=${onDrop} onDragLeave=${() => setOver(false)}
      onDragOver=${onDragOver}>
      <${ErrorNote} problem=${problem} />
      ${
        first
          ? html`<${InputStrip} inputs=${given} onFiles=${add} />
            ${
              compared &&
              html`<div class="seen">
              <button class="button" type="button" onClick=${() => setCompared(null)}><${Icon} name="brush" />Back to painting</button>
            </div>`
            }
            ${
              compared
                ? html`<${Compare} ...${compared} />`
                : first.url && first.width
                  ? html`<div class="easel">
              <${Painter} input=${first} strokes=${strokes} onStroke=${paint} tool=${tools.tool} zoom=${tools.zoom}
                size=${(tools.size / 1000) * Math.max(first.width, first.height)} />
              <${Toolbar} tools=${tools} onChange=${setTools} painted=${strokes.length} onUndo=${undo}
                onClear=${() => painted.set({ key: first.key, strokes: [] })} />
            </div>`
                  : null
            }`
          : html`<${Empty} title="Drop an image here, or paste one" icon="edit">
              <p class="quiet">Or choose files. To edit an image of yours, choose “Use as input” on it.</p>
              <${ChooseFiles} label="Choose images" primary onFiles=${add} />
            <//>`
      }
    </div>
    <${Composer} kind="edit" usual=${account.edit} choices=${choices} onChange=${draft.set} action="Edit" onSubmit=${send}
      missing=${account.edit.enabled ? (first ? "" : "Choose an image first") : "Editing is switched off"} />
    <section aria-label="Your edits">
      ${jobs.length ? html`<${JobCards} entries=${jobs} onUse=${use} onCompare=${compare} onAgain=${again} />` : null}
    </section>`;
}

/** @param {(files: Iterable<File>) => void} add */
function usePaste(add) {
  const latest = useRef(add);
  latest.current = add;
  useEffect(() => {
    const onPaste = (/** @type {ClipboardEvent} */ event) => {
      const files = [...(event.clipboardData?.files ?? [])].filter(({ type }) => type.startsWith("image/"));
      if (!files.length) return;
      event.preventDefault();
      latest.current(files);
    };
    addEventListener("paste", onPaste);
    return () => removeEventListener("paste", onPaste);
  }, []);
}
