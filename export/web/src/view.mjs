/** What the page shows. */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`#${id} is not a ${type.name}`);
  return found;
}

export const file = element("file", HTMLInputElement);
export const settings = element("settings", HTMLFormElement);
export const model = element("model", HTMLSelectElement);
export const engine = element("engine", HTMLSelectElement);
export const tile = element("tile", HTMLSelectElement);
export const fidelity = element("fidelity", HTMLSelectElement);
export const example = element("example", HTMLParagraphElement);
export const cancel = element("cancel", HTMLButtonElement);

const state = element("state", HTMLDivElement);
const status = element("status", HTMLParagraphElement);
const bar = element("progress", HTMLProgressElement);
const error = element("error", HTMLParagraphElement);
const notes = element("notes", HTMLUListElement);
const viewer = element("viewer", HTMLElement);
const scroll = element("scroll", HTMLDivElement);
const stageBox = element("stage", HTMLDivElement);
const before = element("before", HTMLCanvasElement);
const after = element("after", HTMLCanvasElement);
const split = element("split", HTMLInputElement);
const zoom = element("zoom", HTMLButtonElement);
const findings = element("findings", HTMLElement);
const kernelCanvas = element("kernel", HTMLCanvasElement);
const widthText = element("width", HTMLSpanElement);
const tapsText = element("taps", HTMLElement);
const doubt = element("doubt", HTMLParagraphElement);
const facts = element("facts", HTMLDListElement);
const download = element("download", HTMLAnchorElement);

/** @type {{width: number, height: number}} of the picture. */
let input = { width: 1, height: 1 };
let scale = 1;

/** @param {HTMLCanvasElement} canvas */
function brush(canvas) {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser has no canvas");
  return context;
}

/** @param {string[]} texts what is worth telling from the start. */
export function begin(texts) {
  document.body.classList.remove("empty");
  error.hidden = findings.hidden = viewer.hidden = download.hidden = true;
  if (download.href) URL.revokeObjectURL(download.href);
  facts.replaceChildren();
  notes.replaceChildren();
  texts.forEach(note);
  state.hidden = cancel.hidden = bar.hidden = false;
  bar.removeAttribute("value");
  stage("Starting");
}

/** @param {string} text */
export function stage(text) {
  status.textContent = `${text} …`;
}

/** @param {string} text */
function note(text) {
  const item = document.createElement("li");
  item.textContent = text;
  notes.append(item);
}

/**
 * @param {string} name
 * @param {string} text
 */
function fact(name, text) {
  const [term, details] = ["dt", "dd"].map((tag) => document.createElement(tag));
  term.textContent = name;
  details.textContent = text;
  facts.append(term, details);
}

/** @param {{width: number, height: number}} size */
const sizeText = ({ width, height }) => `${width} × ${height}`;

/** @param {ImageBitmap} bitmap */
export function showInput(bitmap) {
  input = { width: bitmap.width, height: bitmap.height };
  before.width = bitmap.width;
  before.height = bitmap.height;
  brush(before).drawImage(bitmap, 0, 0);
  bitmap.close();
  after.width = after.height = 1;
  viewer.hidden = false;
  layOut();
}

/** @param {{engine: string, threads: number, missing: boolean}} found */
export function showEngine({ engine: used, threads, missing }) {
  if (missing) note("This browser offers no WebGPU: WebAssembly is used, which is slower.");
  const count = threads === 1 ? "1 thread" : `${threads} threads`;
  fact("Engine", used === "webgpu" ? "WebGPU" : `WebAssembly, ${count}`);
}

/**
 * @param {{model: string, reason: string, scale: number, size: {width: number, height: number},
 *     shown: {width: number, height: number}}} found
 */
export function showNetwork({ model: name, reason, size, shown, scale: factor }) {
  scale = factor;
  fact("Network", `${name}: ${reason}`);
  fact("Picture", `${sizeText(input)} → ${sizeText(size)} pixels`);
  if (shown.width < size.width) note(`Shown at ${sizeText(shown)} pixels; the PNG has all.`);
  after.width = shown.width;
  after.height = shown.height;
  // Until its tiles are there, the result is the enlarged picture.
  brush(after).drawImage(before, 0, 0, shown.width, shown.height);
  layOut();
}

/** @param {import("./worker.mjs").Kernel} kernel */
export function showKernel({ taps, width, estimated, certain, space, noise }) {
  const side = Math.sqrt(taps.length);
  const largest = taps.reduce((most, tap) => Math.max(most, tap), 0) || 1;
  const image = new ImageData(side, side);
  taps.forEach((tap, at) => {
    image.data.set([255, 255, 255, (Math.max(tap, 0) / largest) * 255], at * 4);
  });
  kernelCanvas.width = kernelCanvas.height = side;
  brush(kernelCanvas).putImageData(image, 0, 0);
  const pixels = space === "hr" ? "output pixels" : "input pixels";
  widthText.textContent = `Width ${width.toFixed(2)} ${pixels}`;
  tapsText.textContent = `standard deviation; ${side} × ${side} are drawn`;
  kernelCanvas.setAttribute("aria-label", `Kernel. ${widthText.textContent}`);
  doubt.hidden = certain;
  doubt.textContent =
    `Blur uncertain: ${estimated.toFixed(1)} px estimated, ${width.toFixed(1)} px used. ` +
    "The picture does not show that it is as blurred as was estimated.";
  if (noise !== null) fact("Noise", `${(100 * noise).toPrecision(2)} % of the picture's power`);
  findings.hidden = false;
}

/** @param {import("./worker.mjs").Patch} patch */
export function showPatch({ x, y, bitmap }) {
  const context = brush(after);
  context.clearRect(x, y, bitmap.width, bitmap.height);
  context.drawImage(bitmap, x, y);
  bitmap.close();
}

/**
 * @param {number} done
 * @param {number} total
 * @param {number} elapsed in seconds, for these tiles.
 */
export function progress(done, total, elapsed) {
  bar.max = total;
  bar.value = done;
  const rest = duration((elapsed * (total - done)) / done);
  status.textContent = `Restoring: ${done} of ${total} tiles${done < total ? `, about ${rest} left` : ""}`;
}

/** @param {number} seconds */
function duration(seconds) {
  return seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
}

/**
 * @param {Blob} png
 * @param {string} name of the picture's file.
 * @param {number} elapsed in seconds.
 */
export function finish(png, name, elapsed) {
  bar.hidden = cancel.hidden = true;
  status.textContent = `Done in ${elapsed.toFixed(1)} s`;
  download.href = URL.createObjectURL(png);
  download.download = `${name.replace(/\.[^.]*$/, "") || "picture"}_x${scale}.png`;
  download.textContent = `Download PNG (${(png.size / 1e6).toPrecision(2)} MB)`;
  download.hidden = false;
}

/** @param {string} text */
export function fail(text) {
  state.hidden = true;
  error.textContent = text;
  error.hidden = false;
}

export function cancelled() {
  bar.hidden = cancel.hidden = true;
  status.textContent = "Cancelled; there is no result.";
}

/** Size of the stage: as wide as there is room, or one result pixel for each pixel of the screen. */
function layOut() {
  const actual = zoom.getAttribute("aria-pressed") === "true" && after.width > 1;
  const ratio = input.width / input.height;
  const width = actual ? `${after.width / devicePixelRatio}px` : `min(100%, ${ratio * 80}vh)`;
  stageBox.style.width = width;
  stageBox.style.aspectRatio = String(ratio);
}

zoom.addEventListener("click", () => {
  const pressed = zoom.getAttribute("aria-pressed") !== "true";
  zoom.setAttribute("aria-pressed", String(pressed));
  layOut();
  // The middle stays the middle.
  scroll.scrollLeft = (scroll.scrollWidth - scroll.clientWidth) / 2;
  scroll.scrollTop = (scroll.scrollHeight - scroll.clientHeight) / 2;
});

split.addEventListener("input", () => {
  stageBox.style.setProperty("--split", `${split.value}%`);
  split.setAttribute("aria-valuetext", `${Math.round(Number(split.value))} % as it was`);
});
