/**
 * What is made of the restored tiles of an alpha channel: hard edges stay restored, soft ones are
 * enlarged as bicubic does, and values keep to the range of those beside them. As `finish_mask` of
 * `dcls_cli/upscaling/finishing.py`.
 */

import { meanOf } from "./finishing.mjs";
import { nearby } from "./nearby.mjs";
import { BICUBIC, BILINEAR, enlarged } from "./resampling.mjs";

/**
 * Mean v (1 - v) over mean |grad v| of a mask v: below the first its edges are hard, as area and
 * bicubic reductions leave them (0.15 to 0.21); a linear edge of one pixel has 0.22 and more.
 */
export const HARD = 0.212;

/**
 * The same about one pixel of a mask that has both kinds: hard up to the first, soft from the second
 * on.
 */
export const LOCALLY_HARD = 0.17;
export const LOCALLY_SOFT = 0.21;
export const NEAR_PX = 5;

/** A smaller range of values is that of a mask without an edge. */
export const ONE_LEVEL = 1.5 / 255;

const { fround } = Math;

/**
 * @typedef {{high: number, wide: number}} Size
 * @typedef {import("./finishing.mjs").Finish} Finish
 */

/**
 * @param {import("./picture.mjs").Picture} picture
 * @returns {Finish} whose result is one plane.
 */
export function finishMask(picture) {
  const hard = edgeWidth(picture) <= HARD;
  return (lr, sr, { high, wide, scale }) => {
    const mask = lr.subarray(0, high * wide);
    const [low, most] = [Math.min, Math.max].map((of) => nearby(mask, { high, wide }, of, 1));
    const restored = meanOf(sr).map((value, at) => {
      const [y, x] = [Math.floor(at / (wide * scale)), at % (wide * scale)];
      const from = Math.floor(y / scale) * wide + Math.floor(x / scale);
      return Math.min(Math.max(value, low[from]), most[from]);
    });
    if (hard) return restored;
    const weight = enlarged(hardness(mask, { high, wide }), high, wide, scale, BILINEAR);
    const soft = enlarged(mask, high, wide, scale, BICUBIC);
    return soft.map((value, at) => {
      const base = Math.min(Math.max(value, 0), 1);
      return base + fround(weight[at] * fround(restored[at] - base));
    });
  };
}

/**
 * How wide the edges of an alpha channel are: mean v (1 - v) over mean |grad v|; 0 without edges.
 *
 * @param {import("./picture.mjs").Picture} picture
 */
export function edgeWidth({ samples, width, height }) {
  const level = (/** @type {number} */ at) => fround(samples[at * 4 + 3] / 255);
  let [area, length] = [0, 0];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const here = level(at);
      const across = x < width - 1 ? fround(level(at + 1) - here) : 0;
      const down = y < height - 1 ? fround(level(at + width) - here) : 0;
      area += fround(here * fround(1 - here));
      length += fround(Math.sqrt(across * across + down * down));
    }
  }
  return length > 0 ? area / length : 0;
}

/**
 * Weight of the restoration at each pixel, in [0, 1]; rounded where Python rounds, as the moments
 * nearly cancel.
 *
 * @param {Float32Array} mask (high, wide).
 * @param {Size} size
 * @returns {Float32Array} (high, wide).
 */
export function hardness(mask, size) {
  const low = nearby(mask, size, Math.min, NEAR_PX);
  const most = nearby(mask, size, Math.max, NEAR_PX);
  const add = (/** @type {number} */ one, /** @type {number} */ other) => one + other;
  const first = nearby(mask, size, add, NEAR_PX);
  const second = nearby(mask.map((value) => value * value), size, add, NEAR_PX);
  const slopes = nearby(slope(mask, size), size, add, NEAR_PX);
  const count = nearby(new Float32Array(mask.length).fill(1), size, add, NEAR_PX);
  const range = fround(LOCALLY_SOFT - LOCALLY_HARD);
  return mask.map((_, at) => {
    const spread = Math.max(fround(most[at] - low[at]), fround(1e-6));
    if (spread <= fround(ONE_LEVEL)) return 0;
    const linear = fround(fround(low[at] + most[at]) * first[at]);
    const constant = fround(fround(low[at] * most[at]) * count[at]);
    const area = fround(fround(fround(-second[at] + linear) - constant) / spread);
    const measured = fround(area / Math.max(slopes[at], fround(1e-6)));
    const weight = fround(fround(fround(LOCALLY_SOFT) - measured) / range);
    return Math.min(Math.max(weight, 0), 1);
  });
}

/**
 * Length of the differences to the pixels below and to the right.
 *
 * @param {Float32Array} values (high, wide).
 * @param {Size} size
 */
function slope(values, { high, wide }) {
  return values.map((value, at) => {
    const across = at % wide < wide - 1 ? fround(values[at + 1] - value) : 0;
    const down = at < (high - 1) * wide ? fround(values[at + wide] - value) : 0;
    return Math.sqrt(across * across + down * down);
  });
}
