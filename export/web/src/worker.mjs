/** One picture from the file to the PNG, away from the page, which stays responsive. */

import { failure } from "./failures.mjs";
import { widthOf } from "./kernel.mjs";
import { choose } from "./models.mjs";
import { hasWebGpu, Network, runtime } from "./network.mjs";
import { cut, decode } from "./picture.mjs";
import { PngWriter } from "./png.mjs";
import { plan, Stitcher } from "./tiling.mjs";

/**
 * @typedef {object} Job
 * @property {File} file
 * @property {string} model a name or `auto`.
 * @property {"auto" | import("./network.mjs").Engine} engine
 * @property {number} tile
 * @property {number} canvasArea pixels that the page can show of the result.
 *
 * @typedef {{x: number, y: number, bitmap: ImageBitmap}} Patch a part of what the page shows.
 * @typedef {{width: number, height: number}} Size
 * @typedef {{taps: Float32Array, width: number, space: "hr" | "lr", noise: number | null}} Kernel
 *
 * @typedef {{type: "stage", text: string}
 *   | {type: "picture", form: string, transparent: boolean, bitmap: ImageBitmap}
 *   | {type: "engine", engine: import("./network.mjs").Engine, threads: number, missing: boolean}
 *   | {type: "network", model: string, reason: string, size: Size, shown: Size, scale: number}
 *   | {type: "kernel", kernel: Kernel}
 *   | {type: "patch", patch: Patch}
 *   | {type: "progress", done: number, total: number}
 *   | {type: "done", png: Blob}
 *   | {type: "failed", kind: import("./failures.mjs").Kind, text: string}} Message
 */

/**
 * @param {Message} message
 * @param {Transferable[]} [transfer]
 */
const post = (message, transfer = []) => self.postMessage(message, { transfer });

self.addEventListener("message", async ({ data }) => {
  try {
    await work(data);
  } catch (thrown) {
    const { kind, message } = failure(thrown);
    post({ type: "failed", kind, text: message });
  }
});

/** @param {Job} job */
async function work({ file, model, engine, tile, canvasArea }) {
  post({ type: "stage", text: "Decoding the picture" });
  const picture = await decode(file);
  const { form, transparent, bitmap, width, height } = picture;
  post({ type: "picture", form, transparent, bitmap }, [bitmap]);

  post({ type: "stage", text: "Loading the network" });
  const choice = model === "auto" ? choose(form) : { model, reason: "you chose it" };
  const webgpu = engine !== "wasm" && (await hasWebGpu());
  const used = webgpu ? "webgpu" : "wasm";
  const ort = await runtime(used);
  const network = await Network.load(ort, used, choice.model);
  const threads = ort.env.wasm.numThreads ?? 1;
  post({ type: "engine", engine: used, threads, missing: engine !== "wasm" && !webgpu });
  const { scale, kernel_space: space } = network.config;
  const size = { width: width * scale, height: height * scale };
  const part = Math.min(1, Math.sqrt(canvasArea / (size.width * size.height)));
  const shown = { width: Math.round(size.width * part), height: Math.round(size.height * part) };
  post({ type: "network", ...choice, size, shown, scale });

  post({ type: "stage", text: "Estimating the blur" });
  const blur = await network.estimate(height, width, (window) => cut(picture, window, "colour"));
  // The blur of flat colours would draw rings around a cut-out figure.
  const alphaBlur = transparent
    ? await network.estimate(height, width, (window) => cut(picture, window, "alpha"))
    : null;
  const taps = Float32Array.from(/** @type {Float32Array} */ (blur.kernel.data));
  const noise = blur.noise ? Number(blur.noise.data[0]) : null;
  post({ type: "kernel", kernel: { taps, width: widthOf(taps), space, noise } });

  post({ type: "stage", text: "Restoring" });
  const tiles = plan(height, width, tile);
  const channels = transparent ? 4 : 3;
  const show = viewer(shown, size, channels);
  const stitcher = new Stitcher(width, scale, channels);
  const png = new PngWriter(size.width, size.height, channels);
  let finished = 0;
  for (const [index, item] of tiles.entries()) {
    const patch = await restoreTile(network, picture, item, blur, alphaBlur);
    await show(...middle(item, patch, scale, channels));
    const rows = stitcher.add(item, patch);
    if (rows) {
      await png.write(rows);
      await show(rows, { x: 0, y: finished, width: size.width });
      finished += rows.length / channels / size.width;
    }
    post({ type: "progress", done: index + 1, total: tiles.length });
  }
  post({ type: "done", png: await png.close() });
}

/**
 * @param {Network} network
 * @param {import("./picture.mjs").Picture} picture
 * @param {import("./tiling.mjs").Tile} tile
 * @param {import("./network.mjs").Blur} blur
 * @param {import("./network.mjs").Blur | null} alphaBlur of the alpha channel, unless it is opaque.
 * @returns {Promise<Float32Array>} (3 or 4, rows, columns); the alpha channel is restored as well.
 */
async function restoreTile(network, picture, tile, blur, alphaBlur) {
  const sides = [tile.rows, tile.columns].map(({ start, stop }) => stop - start);
  const colour = await network.restore(cut(picture, tile, "colour"), sides[0], sides[1], blur);
  if (!alphaBlur) return colour;
  const grey = await network.restore(cut(picture, tile, "alpha"), sides[0], sides[1], alphaBlur);
  const count = grey.length / 3;
  const planes = new Float32Array(4 * count);
  planes.set(colour);
  for (let at = 0; at < count; at++) {
    planes[3 * count + at] = (grey[at] + grey[count + at] + grey[2 * count + at]) / 3;
  }
  return planes;
}

/**
 * The part of a tile that counts, to be shown until its neighbours are there.
 *
 * @param {import("./tiling.mjs").Tile} tile
 * @param {Float32Array} patch
 * @param {number} scale
 * @param {number} channels
 * @returns {[Uint8ClampedArray, {x: number, y: number, width: number}]}
 */
function middle({ rows, columns }, patch, scale, channels) {
  const stride = (columns.stop - columns.start) * scale;
  const plane = patch.length / channels;
  const width = (columns.fall[1] - columns.rise[0]) * scale;
  const height = (rows.fall[1] - rows.rise[0]) * scale;
  const first = ((rows.rise[0] - rows.start) * stride + columns.rise[0] - columns.start) * scale;
  const samples = new Uint8ClampedArray(width * height * channels);
  for (let at = 0; at < width * height; at++) {
    const source = first + Math.floor(at / width) * stride + (at % width);
    for (let channel = 0; channel < channels; channel++) {
      samples[at * channels + channel] = patch[channel * plane + source] * 255;
    }
  }
  return [samples, { x: columns.rise[0] * scale, y: rows.rise[0] * scale, width }];
}

/**
 * Shows parts of the result at the size that the page has for it.
 *
 * @param {Size} shown
 * @param {Size} size
 * @param {number} channels
 */
function viewer(shown, size, channels) {
  const across = (/** @type {number} */ x) => Math.round((x * shown.width) / size.width);
  const down = (/** @type {number} */ y) => Math.round((y * shown.height) / size.height);
  /**
   * @param {Uint8ClampedArray} samples (rows, width, channels).
   * @param {{x: number, y: number, width: number}} place in the result.
   */
  return async (samples, { x, y, width }) => {
    const rows = samples.length / channels / width;
    const pixels = new Uint8ClampedArray(width * rows * 4).fill(255);
    for (let at = 0; at < width * rows; at++) {
      for (let channel = 0; channel < channels; channel++) {
        pixels[at * 4 + channel] = samples[at * channels + channel];
      }
    }
    const [left, top] = [across(x), down(y)];
    const [wide, high] = [across(x + width) - left, down(y + rows) - top];
    if (wide === 0 || high === 0) return;
    const bitmap = await createImageBitmap(new ImageData(pixels, width, rows), {
      resizeWidth: wide,
      resizeHeight: high,
      resizeQuality: "high",
    });
    post({ type: "patch", patch: { x: left, y: top, bitmap } }, [bitmap]);
  };
}
