/**
 * Windows of a picture with much detail, which are restored to see what a blur does. As `_Sample` of
 * `dcls_cli/upscaling/finding.py`.
 */

import { cut } from "./picture.mjs";
import { BICUBIC, enlarged } from "./resampling.mjs";
import { BLOCK_PX } from "./survey.mjs";
import { SMALLEST_TILE } from "./tiling.mjs";

/**
 * Side of the windows, pixels, and how much of the picture they are, if there is more than one of
 * them.
 */
export const WINDOW_PX = SMALLEST_TILE;
export const SAMPLE_SHARE = 1 / 8;
export const MOST_WINDOWS = 6;

/** Pixels of a window whose restoration does not count, on each side. */
export const HALO_PX = 8;

/** Mean step between neighbouring pixels, of full scale, below which there is no detail at all. */
export const NOTHING = 0.02 / 255;

const { fround } = Math;

/**
 * @typedef {import("./network.mjs").Blur} Blur
 * @typedef {import("./network.mjs").Network} Network
 * @typedef {import("./picture.mjs").Picture} Picture
 * @typedef {import("./survey.mjs").Survey} Survey
 * @typedef {{top: number, left: number}} Place
 */

export class Sample {
  /**
   * @param {Picture} picture
   * @param {import("./picture.mjs").Plane} what
   * @param {Network} network
   * @param {Survey} seen
   */
  constructor(picture, what, network, seen) {
    this.network = network;
    this.high = Math.min(WINDOW_PX, picture.height);
    this.wide = Math.min(WINDOW_PX, picture.width);
    this.windows = places(picture.height, picture.width, seen).map(({ top, left }) => {
      const rows = { start: top, stop: top + this.high };
      const columns = { start: left, stop: left + this.wide };
      return cut(picture, { rows, columns }, what);
    });
    const { scale } = network.config;
    this.enlarged = this.windows.reduce((sum, lr) => sum + this.variation(this.bicubic(lr)), 0);
    const steps = this.windows.length * 3 * this.high * this.wide * scale;
    this.empty = this.enlarged < NOTHING * steps;
  }

  /**
   * Total variation of the restored windows over that of the enlarged ones.
   *
   * @param {Blur} blur
   */
  async oscillation(blur) {
    let total = 0;
    for (const lr of this.windows) {
      total += this.variation(await this.network.restore(lr, this.high, this.wide, blur));
    }
    return total / this.enlarged;
  }

  /** @param {Float32Array} lr (3, high, wide). */
  bicubic(lr) {
    const { high, wide, network } = this;
    const count = high * wide;
    const large = new Float32Array(lr.length * network.config.scale ** 2);
    for (let channel = 0; channel < 3; channel++) {
      const plane = lr.subarray(channel * count, (channel + 1) * count);
      const found = enlarged(plane, high, wide, network.config.scale, BICUBIC);
      large.set(found, channel * found.length);
    }
    return large;
  }

  /**
   * Total variation, without the halo where there is room for it.
   *
   * @param {Float32Array} planes (3, scale * high, scale * wide).
   */
  variation(planes) {
    const { scale } = this.network.config;
    const [high, wide] = [this.high * scale, this.wide * scale];
    const halo = HALO_PX * scale;
    const edge = Math.min(high, wide) > 4 * halo ? halo : 0;
    const level = (/** @type {number} */ at) => Math.min(Math.max(planes[at], 0), 1);
    let total = 0;
    for (let channel = 0; channel < 3; channel++) {
      for (let y = edge; y < high - edge; y++) {
        for (let x = edge; x < wide - edge; x++) {
          const at = (channel * high + y) * wide + x;
          const here = level(at);
          if (x + 1 < wide - edge) total += Math.abs(fround(level(at + 1) - here));
          if (y + 1 < high - edge) total += Math.abs(fround(level(at + wide) - here));
        }
      }
    }
    return total;
  }
}

/**
 * Windows with most detail, apart from each other.
 *
 * @param {number} height
 * @param {number} width
 * @param {Survey} seen
 * @returns {Place[]}
 */
export function places(height, width, seen) {
  const [tall, wide] = [Math.min(WINDOW_PX, height), Math.min(WINDOW_PX, width)];
  const count = Math.trunc((height * width * SAMPLE_SHARE) / (tall * wide));
  const [rows, columns] = [Math.ceil(tall / BLOCK_PX), Math.ceil(wide / BLOCK_PX)];
  const [down, across] = [seen.rows - rows + 1, seen.columns - columns + 1];
  // Detail in the halo does not count, as it will not in the restoration.
  const trim = Math.min(tall, wide) > 4 * HALO_PX ? HALO_PX / BLOCK_PX : 0;
  const inside = insides(seen, rows, columns, trim);
  /** @type {Place[]} */
  const found = [];
  while (found.length < Math.min(Math.max(count, 1), MOST_WINDOWS)) {
    let best = 0;
    for (let at = 1; at < inside.length; at++) if (inside[at] > inside[best]) best = at;
    if (inside[best] < 0) break;
    const [row, column] = [Math.floor(best / across), best % across];
    const top = Math.min(row * BLOCK_PX, height - tall);
    found.push({ top, left: Math.min(column * BLOCK_PX, width - wide) });
    for (let y = Math.max(row - rows + 1, 0); y < Math.min(row + rows, down); y++) {
      const first = y * across;
      const last = first + Math.min(column + columns, across);
      inside.fill(-1, first + Math.max(column - columns + 1, 0), last);
    }
  }
  return found;
}

/**
 * Detail inside of each window of whole blocks.
 *
 * @param {Survey} seen
 * @param {number} rows of blocks of a window.
 * @param {number} columns
 * @param {number} trim blocks on each side that do not count.
 * @returns {Float64Array} (seen.rows - rows + 1, seen.columns - columns + 1).
 */
function insides(seen, rows, columns, trim) {
  const wide = seen.columns + 1;
  const sums = new Float64Array((seen.rows + 1) * wide);
  for (let y = 0; y < seen.rows; y++) {
    for (let x = 0; x < seen.columns; x++) {
      sums[(y + 1) * wide + x + 1] = sums[y * wide + x + 1] + seen.detail[y * seen.columns + x];
    }
  }
  for (let at = 1; at < sums.length; at++) if (at % wide > 0) sums[at] += sums[at - 1];
  const across = wide - columns;
  const inside = new Float64Array((seen.rows + 1 - rows) * across);
  const [high, broad] = [(rows - 2 * trim) * wide, columns - 2 * trim];
  for (let at = 0; at < inside.length; at++) {
    const corner = (Math.floor(at / across) + trim) * wide + (at % across) + trim;
    const below = corner + high;
    inside[at] = sums[below + broad] - sums[below] - (sums[corner + broad] - sums[corner]);
  }
  return inside;
}
