/**
 * What is made of restored tiles before they are joined: smooth parts, brightness, colours. As
 * `dcls_cli/upscaling/finishing.py`; `masks.mjs` has its part for alpha channels.
 */

import { keepConsistent } from "./consistency.mjs";
import { keepFaithful } from "./fidelity.mjs";
import { nearby, smoothed } from "./nearby.mjs";
import { BICUBIC, BILINEAR, enlarged } from "./resampling.mjs";

/**
 * Sigma and reach of the filter that tells brightness from detail, LR pixels. Tiles overlap by more
 * than twice the reach.
 */
export const SIGMA_PX = 3.0;
export const REACH_PX = 8;

/**
 * Differences of brightness far above this one are corrected, those far below it are not, of full
 * scale: a clear picture has some. Corrections below the second are not made, and larger ones are
 * smaller by it, so that a pixel is corrected alike whatever else is in its tile.
 */
export const TOLERANCE = 1.5 / 255;
export const NOTHING = 0.1 / 255;

/**
 * Rounds in which the brightness is corrected, as clipping takes back a part of each, and how much of
 * the difference is added in each: a little more than all.
 */
export const ROUNDS = 8;
export const STEP = 1.3;

/**
 * Pixels on each side of a smooth one whose second differences are below so many levels, which rounding
 * makes of an even slope.
 */
export const SMOOTH_PX = 3;
export const EVEN = 2.5;

/** Samples about a still pixel differ by less, of full scale. */
export const STILL = 4 / 255;

/**
 * Pixels on each side among which still ones are counted, and the shares of them from which and at
 * which a part is taken for drawn.
 */
export const DRAWN_PX = 4;
export const DRAWN_SHARES = [0.2, 0.5];

/**
 * A tile (3, rows, columns) in [0, 1] and its restoration (3, scale * rows, scale * columns), which
 * may be written to -> what becomes of it.
 *
 * @typedef {(lr: Float32Array, sr: Float32Array, sides: Sides) => Float32Array} Finish
 * @typedef {{high: number, wide: number, scale: number}} Sides rows and columns of the tile.
 */

const { fround } = Math;

/** @param {number} value */
const clipped = (value) => Math.min(Math.max(value, 0), 1);

/**
 * Let a restoration be no more than its input allows: drawn parts keep to the colours around them,
 * smooth ones stay so, every region explains its input and is as bright as that, and a neutral picture
 * stays neutral.
 *
 * @param {{neutral: boolean, fewColours: number}} seen see `Survey`.
 * @param {import("./consistency.mjs").Kernel} kernel
 * @param {number} fidelity 0 to 1, see `keepFaithful`.
 * @returns {Finish}
 */
export function finishColours({ neutral, fewColours }, kernel, fidelity) {
  return (lr, sr, sides) => {
    if (neutral) {
      const grey = meanOf(sr);
      for (let channel = 0; channel < 3; channel++) sr.set(grey, channel * grey.length);
    }
    const explained = keepConsistent(lr, keepRange(lr, sr, sides, fewColours), sides, kernel);
    const kept = keepBrightness(lr, keepSmooth(lr, explained, sides), sides);
    return keepFaithful(lr, kept.map(clipped), sides, kernel, fidelity);
  };
}

/**
 * Mean of three clipped channels.
 *
 * @param {Float32Array} planes (3, rows, columns).
 * @returns {Float32Array} (rows, columns).
 */
export function meanOf(planes) {
  const count = planes.length / 3;
  const mean = new Float32Array(count);
  for (let at = 0; at < count; at++) {
    const sum = fround(clipped(planes[at]) + clipped(planes[count + at]));
    mean[at] = fround(sum + clipped(planes[2 * count + at])) / 3;
  }
  return mean;
}

/**
 * Keep drawn parts to the range of the pixels around them.
 *
 * @param {Float32Array} lr (3, high, wide) in [0, 1].
 * @param {Float32Array} sr (3, scale * high, scale * wide), changed in place.
 * @param {Sides} sides
 * @param {number} fewColours least weight, 0 to 1: 1 for a picture that is known to be drawn.
 * @returns {Float32Array} the same.
 */
export function keepRange(lr, sr, { high, wide, scale }, fewColours) {
  const [count, size] = [high * wide, { high, wide }];
  const planes = [0, 1, 2].map((channel) => lr.subarray(channel * count, (channel + 1) * count));
  const low = planes.map((plane) => nearby(plane, size, Math.min, 1));
  const most = planes.map((plane) => nearby(plane, size, Math.max, 1));
  const still = planes[0].map((_, at) =>
    Number(low.every((lows, channel) => fround(most[channel][at] - lows[at]) < fround(STILL))),
  );
  const add = (/** @type {number} */ one, /** @type {number} */ other) => one + other;
  const [some, all] = [still, still.map(() => 1)].map((plane) => nearby(plane, size, add, DRAWN_PX));
  const [first, last] = DRAWN_SHARES;
  const drawn = some.map((sum, at) => {
    const share = fround(fround(sum / all[at]) - fround(first)) / fround(last - first);
    return Math.min(Math.max(fround(share), fewColours), 1);
  });
  if (drawn.every((weight) => weight === 0)) return sr;
  const weight = enlarged(drawn, high, wide, scale, BILINEAR);
  for (let channel = 0, to = 0; channel < 3; channel++) {
    for (let at = 0; at < weight.length; at++, to++) {
      const [y, x] = [Math.floor(at / (wide * scale)), at % (wide * scale)];
      const from = Math.floor(y / scale) * wide + Math.floor(x / scale);
      const ranged = Math.min(Math.max(sr[to], low[channel][from]), most[channel][from]);
      sr[to] += fround(weight[at] * fround(ranged - sr[to]));
    }
  }
  return sr;
}

/**
 * Enlarge bicubically what is flat or an even slope for some pixels around.
 *
 * @param {Float32Array} lr (3, high, wide) in [0, 1].
 * @param {Float32Array} sr (3, scale * high, scale * wide), changed in place.
 * @param {Sides} sides
 * @returns {Float32Array} the same.
 */
export function keepSmooth(lr, sr, { high, wide, scale }) {
  const count = high * wide;
  for (let channel = 0; channel < 3; channel++) {
    const plane = lr.subarray(channel * count, (channel + 1) * count);
    const bends = nearby(bendOf(plane, high, wide), { high, wide }, Math.max, SMOOTH_PX);
    const even = bends.map((bend) => Number(bend < fround(EVEN / 255)));
    if (!even.includes(1)) continue;
    const weight = enlarged(even, high, wide, scale, BILINEAR);
    const plain = enlarged(plane, high, wide, scale, BICUBIC);
    for (let at = 0, to = channel * weight.length; at < weight.length; at++, to++) {
      sr[to] += fround(weight[at] * fround(plain[at] - sr[to]));
    }
  }
  return sr;
}

/**
 * Second differences down and across, the larger of both; the last pixels repeated.
 *
 * @param {Float32Array} plane (high, wide).
 * @param {number} high
 * @param {number} wide
 */
function bendOf(plane, high, wide) {
  return plane.map((value, at) => {
    const [y, x] = [Math.floor(at / wide), at % wide];
    /** @type {(before: number, after: number) => number} */
    const bend = (before, after) => Math.abs(fround(fround(plane[after] - 2 * value) + plane[before]));
    const across = bend(x > 0 ? at - 1 : at, x < wide - 1 ? at + 1 : at);
    return Math.max(across, bend(y > 0 ? at - wide : at, y < high - 1 ? at + wide : at));
  });
}

/**
 * Give each region of a restoration the mean of the same region of its input; only the brightness,
 * as a network may put right colours that JPEG changed.
 *
 * @param {Float32Array} lr (3, high, wide) in [0, 1].
 * @param {Float32Array} sr (3, scale * high, scale * wide), changed in place.
 * @param {Sides} sides
 * @returns {Float32Array} the same, or clipped to [0, 1] and mended where its brightness is wrong.
 */
export function keepBrightness(lr, sr, sides) {
  const { high, wide, scale } = sides;
  const wanted = meanOf(lr);
  for (let round = 0; round < ROUNDS; round++) {
    const missing = missingOf(wanted, meanOf(sr), sides);
    if (missing.every((value) => value === 0)) break;
    const added = enlarged(missing, high, wide, scale, BILINEAR);
    for (let at = 0; at < sr.length; at++) {
      sr[at] = clipped(sr[at]) + fround(fround(STEP) * added[at % added.length]);
    }
  }
  return sr;
}

/**
 * Brightness that a restoration lacks; little of it is left as it is.
 *
 * @param {Float32Array} wanted (high, wide).
 * @param {Float32Array} seen (scale * high, scale * wide).
 * @param {Sides} sides
 * @returns {Float32Array} (high, wide).
 */
function missingOf(wanted, seen, { high, wide, scale }) {
  const missing = new Float32Array(wanted.length);
  for (let y = 0, at = 0; y < high; y++) {
    for (let x = 0; x < wide; x++, at++) {
      let sum = 0;
      for (let line = y * scale; line < (y + 1) * scale; line++) {
        const first = (line * wide + x) * scale;
        for (let from = first; from < first + scale; from++) sum += seen[from];
      }
      missing[at] = wanted[at] - fround(sum / scale ** 2);
    }
  }
  const smooth = smoothed(missing, { high, wide }, SIGMA_PX, REACH_PX);
  return smooth.map((value) => {
    const large = fround((value * value ** 2) / (value ** 2 + TOLERANCE ** 2));
    return large - Math.min(Math.max(large, -fround(NOTHING)), fround(NOTHING));
  });
}
