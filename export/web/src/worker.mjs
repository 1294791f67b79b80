/** One picture from the file to the PNG, away from the page, which stays responsive. */

import { choose } from "./choice.mjs";
import { failure } from "./failures.mjs";
import { findBlur, tapsOf } from "./finding.mjs";
import { finishColours } from "./finishing.mjs";
import { widthOf } from "./kernel.mjs";
import { finishMask } from "./masks.mjs";
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
 * @property {number} fidelity 0 to 1.
 * @property {number} canvasArea pixels that the page can show of the result.
 *
 * @typedef {{x: number, y: number, bitmap: ImageBitmap}} Patch a part of what the page shows.
 * @typedef {{width: number, height: number}} Size
 * @typedef {object} Kernel
 * @property {Float32Array} taps
 * @property {number} width in its own pixels, as is `estimated`, the width of the estimate.
 * @property {number} estimated
 * @property {boolean} certain whether the estimate is used as it is.
 * @property {"hr" | "lr"} space
 * @property {number | null} noise
 *
 * What one plane of the picture is restored with.
 *
 * @typedef {object} Way
 * @property {import("./picture.mjs").Plane} what
 * @property {import("./network.mjs").Blur} blur
 * @property {import("./finishing.mjs").Finish} finish
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
async function work({ file, model, engine, tile, fidelity, canvasArea }) {
  post({ type: "stage", text: "Decoding the picture" });
  const picture = await decode(file);
  const { form, transparent, bitmap, width, height } = picture;
  post({ type: "picture", form, transparent, bitmap }, [bitmap]);

  post({ type: "stage", text: "Loading the network" });
  const choice = model === "auto" ? await choose(picture) : { model, reason: "you chose it" };
  const webgpu = engine !== "wasm" && (await hasWebGpu());
  const provider = webgpu ? "webgpu" : "wasm";
  const ort = await runtime(provider);
  const network = await Network.load(ort, provider, choice.model);
  const threads = ort.env.wasm.numThreads ?? 1;
  post({ type: "engine", engine: provider, threads, missing: engine !== "wasm" && !webgpu });
  const { scale, kernel_space: space } = network.config;
  const size = { width: width * scale, height: height * scale };
  const part = Math.min(1, Math.sqrt(canvasArea / (size.width * size.height)));
  const shown = { width: Math.round(size.width * part), height: Math.round(size.height * part) };
  post({ type: "network", ...choice, size, shown, scale });

  post({ type: "stage", text: "Estimating the blur" });
  const { blur, confidence, estimated, seen } = await findBlur(picture, "colour", network);
  const taps = Float32Array.from(tapsOf(blur));
  /** @type {Way[]} */
  const ways = [{ what: "colour", blur, finish: finishColours(seen, { taps, space }, fidelity) }];
  if (transparent) {
    // The blur of flat colours would draw rings around a cut-out figure.
    const found = await findBlur(picture, "alpha", network);
    ways.push({ what: "alpha", blur: found.blur, finish: finishMask(picture) });
  }
  const noise = blur.noise ? Number(blur.noise.data[0]) : null;
  const [used, certain] = [widthOf(taps), confidence === 1];
  post({ type: "kernel", kernel: { taps, width: used, estimated, certain, space, noise } });

  post({ type: "stage", text: "Restoring" });
  const tiles = plan(height, width, tile);
  const channels = transparent ? 4 : 3;
  const show = viewer(shown, size, channels);
  const stitcher = new Stitcher(width, scale, channels);
  const png = new PngWriter(size.width, size.height, channels);
  let finished = 0;
  for (const [index, item] of tiles.entries()) {
    const patch = await restoreTile(network, picture, item, ways);
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
 * @param {Way[]} ways of the colours, and of the alpha channel unless it is opaque.
 * @returns {Promise<Float32Array>} (3 or 4, rows, columns); the alpha channel is restored as well.
 */
async function restoreTile(network, picture, tile, ways) {
  const [high, wide] = [tile.rows, tile.columns].map(({ start, stop }) => stop - start);
  const { scale } = network.config;
  const planes = new Float32Array((ways.length + 2) * high * wide * scale ** 2);
  let filled = 0;
  for (const { what, blur, finish } of ways) {
    const lr = cut(picture, tile, what);
    const sr = await network.restore(lr, high, wide, blur);
    const finished = finish(lr, sr, { high, wide, scale });
    planes.set(finished, filled);
    filled += finished.length;
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
