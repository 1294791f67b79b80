/** The page: takes pictures, starts a worker for each, shows what it says. */

import { MODELS } from "./models.mjs";
import { SMALLEST_TILE } from "./tiling.mjs";
import * as view from "./view.mjs";

/** Pixels of a canvas that every browser allows. */
const CANVAS_AREA = 16_000_000;

/** @type {Worker | null} */
let worker = null;
/** @type {File | null} */
let current = null;

for (const { name, label } of MODELS) view.model.add(new Option(label, name));

/**
 * The worker starts from a blob, since a worker that comes from an address would not be bound by
 * this page's Content-Security-Policy.
 */
function startWorker() {
  const script = `import ${JSON.stringify(new URL("worker.mjs", import.meta.url).href)};`;
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  return new Worker(address, { type: "module" });
}

/** A worker in the middle of a tile hears nothing: it is ended, and its memory with it. */
function stop() {
  worker?.terminate();
  worker = null;
}

/**
 * @param {File} file
 * @param {{engine?: string, tile?: number, notes?: string[]}} [changed] after a failed attempt.
 */
function run(file, changed = {}) {
  stop();
  current = file;
  const tile = changed.tile ?? Number(view.tile.value);
  const engine = changed.engine ?? view.engine.value;
  const notes = changed.notes ?? [];
  view.begin(notes);
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  let webgpu = false;
  let restoringSince = 0;
  const attempt = startWorker();
  worker = attempt;

  /**
   * @param {import("./failures.mjs").Kind} kind
   * @param {string} text
   */
  const fail = (kind, text) => {
    stop();
    if (kind === "memory" && tile > SMALLEST_TILE) {
      const smaller = Math.max(SMALLEST_TILE, Math.floor(tile / 2));
      const note = `Out of memory with tiles of ${tile} pixels: trying ${smaller}.`;
      run(file, { engine, tile: smaller, notes: [...notes, note] });
    } else if (kind === "engine" && webgpu && engine === "auto") {
      const note = `WebGPU failed (${text}): WebAssembly is used.`;
      run(file, { engine: "wasm", tile, notes: [...notes, note] });
    } else {
      view.fail(explain(kind, text));
    }
  };

  attempt.addEventListener("error", (event) => {
    event.preventDefault();
    fail("files", `The page's own files did not load${event.message ? `: ${event.message}` : ""}.`);
  });
  attempt.addEventListener("message", ({ data }) => {
    /** @type {import("./worker.mjs").Message} */
    const message = data;
    switch (message.type) {
      case "stage":
        return view.stage(message.text);
      case "picture":
        return view.showInput(message.bitmap);
      case "engine":
        webgpu = message.engine === "webgpu";
        return view.showEngine(message);
      case "network":
        return view.showNetwork(message);
      case "kernel":
        restoringSince = seconds();
        return view.showKernel(message.kernel);
      case "patch":
        return view.showPatch(message.patch);
      case "progress":
        return view.progress(message.done, message.total, seconds() - restoringSince);
      case "done":
        stop();
        return view.finish(message.png, file.name, seconds());
      case "failed":
        return fail(message.kind, message.text);
    }
  });
  attempt.postMessage({
    file,
    engine,
    tile,
    model: view.model.value,
    fidelity: Number(view.fidelity.value),
    canvasArea: CANVAS_AREA,
  });
}

/**
 * @param {import("./failures.mjs").Kind} kind
 * @param {string} text
 */
function explain(kind, text) {
  if (kind === "memory") {
    return `Out of memory (${text}). Close other tabs, crop the picture, or use \`dcls upscale\`.`;
  }
  if (kind === "engine") return `The engine failed: ${text}. Try the other engine, or another browser.`;
  return text;
}

/** Restore the picture that the build puts beside the page. */
async function takeExample() {
  const answer = await fetch(new URL("example.png", import.meta.url)).catch(() => null);
  if (answer?.ok) run(new File([await answer.blob()], "example.png"));
  else view.fail("example.png, a file of this page, did not load: build the page anew.");
}

/** @param {Iterable<File> | undefined} files */
function take(files) {
  const [file, ...others] = files ?? [];
  if (!file) return;
  run(file, {
    notes: others.length ? [`One picture at a time: ${file.name} of ${others.length + 1} is taken.`] : [],
  });
}

view.file.addEventListener("change", () => {
  take(view.file.files ?? []);
  view.file.value = ""; // the same file may be chosen again
});
view.example.addEventListener("click", ({ target }) => {
  if (target instanceof HTMLButtonElement) takeExample();
});
view.settings.addEventListener("change", () => current && run(current));
view.settings.addEventListener("submit", (event) => event.preventDefault());
view.cancel.addEventListener("click", () => {
  stop();
  view.cancelled();
});
document.addEventListener("paste", (event) => take(event.clipboardData?.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, () => document.body.classList.remove("dragging"));
}
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer?.files);
});
