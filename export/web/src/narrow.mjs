/**
 * The blur of a picture that has none: what a network answers where nothing was blurred. As
 * `dcls_cli/upscaling/narrow.py`.
 */

import { Failure } from "./failures.mjs";

/** Side of the reference, LR pixels. */
export const SIDE_PX = 96;

/** @typedef {import("./network.mjs").Blur} Blur */
/** @typedef {import("./network.mjs").Network} Network */

/** @type {WeakMap<Network, Promise<Blur>>} */
const known = new WeakMap();

/**
 * Kernel and P that a network gives a sharp picture, which it restores without stripes. They are
 * estimated once a network, and the picture is loaded only then.
 *
 * @param {Network} network
 * @returns {Promise<Blur>}
 */
export function narrowBlur(network) {
  const found = known.get(network) ?? estimated(network);
  known.set(network, found);
  return found;
}

/** @param {Network} network */
async function estimated(network) {
  const planes = await reference(network.config.scale);
  return network.estimate(SIDE_PX, SIDE_PX, ({ rows, columns }) => {
    const [high, wide] = [rows.stop - rows.start, columns.stop - columns.start];
    if (high !== SIDE_PX || wide !== SIDE_PX) throw new RangeError("the reference is one window");
    return planes;
  });
}

/**
 * The picture that `reference` of Python draws: its levels, row by row, without a file format, so
 * that no browser converts its colours.
 *
 * @param {number} scale
 * @returns {Promise<Float32Array>} (3, SIDE_PX, SIDE_PX) in [0, 1].
 */
async function reference(scale) {
  const name = `reference-x${scale}.bin`;
  const response = await fetch(new URL(name, import.meta.url));
  const levels = new Uint8Array(response.ok ? await response.arrayBuffer() : []);
  if (levels.length !== SIDE_PX ** 2) {
    throw new Failure("files", `${name} is missing or damaged: build the page anew.`);
  }
  const planes = new Float32Array(3 * levels.length);
  for (let at = 0; at < planes.length; at++) planes[at] = levels[at % levels.length] / 255;
  return planes;
}
