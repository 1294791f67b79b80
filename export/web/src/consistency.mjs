/**
 * A restoration must explain its input, and is mended where it does not. As
 * `dcls_cli/upscaling/consistency.py`.
 */

import { nearby, smoothed } from "./nearby.mjs";
import { BICUBIC, enlarged } from "./resampling.mjs";

/** Differences far above this one are made good, those far below it are left, of full scale. */
export const MISFIT = 25 / 255;

/**
 * Times that it is done, and how much of what is missing is added each time: what is added is
 * enlarged, and explains less than itself.
 */
export const ROUNDS = 2;
export const STEP = 1.6;

/** Nothing is done where corrections are below this one. */
export const NOTHING = 0.5 / 255;

/** Sigma and reach of the region whose misfit counts, LR pixels. */
export const SIGMA_PX = 1.0;
export const REACH_PX = 2;

/**
 * A blur, n x n taps, n odd, HR or LR pixels.
 *
 * @typedef {{taps: Float32Array, space: "hr" | "lr"}} Kernel
 * @typedef {import("./finishing.mjs").Sides} Sides
 */

const { fround } = Math;

/**
 * Add what a restoration lacks to explain its input, where that is much.
 *
 * @param {Float32Array} lr (3, high, wide) in [0, 1].
 * @param {Float32Array} sr (3, scale * high, scale * wide), changed in place.
 * @param {Sides} sides
 * @param {Kernel} kernel that it was restored with.
 * @returns {Float32Array} the same.
 */
export function keepConsistent(lr, sr, sides, kernel) {
  const { high, wide, scale } = sides;
  const count = high * wide;
  for (let round = 0; round < ROUNDS; round++) {
    const seen = degraded(sr, sides, kernel);
    const misfit = lr.map((value, at) => value - seen[at]);
    const power = new Float32Array(count).map(
      (_, at) =>
        (misfit[at] ** 2 + misfit[count + at] ** 2 + misfit[2 * count + at] ** 2) / 3,
    );
    const smooth = smoothed(power, sides, SIGMA_PX, REACH_PX);
    const weight = smooth.map((value) => value / (value + fround(MISFIT ** 2)));
    const missing = misfit.map((value, at) => value * weight[at % count]);
    const wrong = new Float32Array(count).map((_, at) =>
      Number([0, 1, 2].some((channel) => Math.abs(missing[channel * count + at]) >= fround(NOTHING))),
    );
    if (!wrong.includes(1)) break;
    const around = nearby(wrong, sides, Math.max, REACH_PX);
    missing.forEach((value, at) => (missing[at] = value * around[at % count]));
    for (let channel = 0, to = 0; channel < 3; channel++) {
      const plane = missing.subarray(channel * count, (channel + 1) * count);
      const added = enlarged(plane, high, wide, scale, BICUBIC);
      for (let at = 0; at < added.length; at++, to++) sr[to] += fround(fround(STEP) * added[at]);
    }
  }
  return sr;
}

/**
 * Blur and reduce, the last pixels repeated beyond the borders.
 *
 * @param {Float32Array} sr (3, scale * high, scale * wide), clipped.
 * @param {Sides} sides
 * @param {Kernel} kernel
 * @returns {Float32Array} (3, high, wide).
 */
export function degraded(sr, { high, wide, scale }, kernel) {
  const { taps, side } = together(kernel, scale);
  const before = (side - scale) / 2;
  const [tall, long] = [high * scale, wide * scale];
  const [paddedHigh, paddedWide] = [tall + side - scale, long + side - scale];
  const padded = new Float32Array(paddedHigh * paddedWide);
  const result = new Float32Array(3 * high * wide);
  for (let channel = 0, out = 0; channel < 3; channel++) {
    for (let y = 0, at = 0; y < paddedHigh; y++) {
      const row = channel * tall + Math.min(Math.max(y - before, 0), tall - 1);
      for (let x = 0; x < paddedWide; x++, at++) {
        const column = Math.min(Math.max(x - before, 0), long - 1);
        padded[at] = Math.min(Math.max(sr[row * long + column], 0), 1);
      }
    }
    for (let y = 0; y < high; y++) {
      for (let x = 0; x < wide; x++, out++) {
        let sum = 0;
        for (let down = 0, tap = 0; down < side; down++) {
          const first = (y * scale + down) * paddedWide + x * scale;
          for (let at = first; at < first + side; at++, tap++) sum += taps[tap] * padded[at];
        }
        result[out] = sum;
      }
    }
  }
  return result;
}

/**
 * The transpose of `degraded`, times the square of the scale: each LR pixel is spread over the HR pixels
 * that it was made of. Beyond the borders the last LR pixels are repeated.
 *
 * @param {Float32Array} lr (3, high, wide).
 * @param {Sides} sides
 * @param {Kernel} kernel
 * @returns {Float32Array} (3, scale * high, scale * wide).
 */
export function returned(lr, { high, wide, scale }, kernel) {
  const { taps, side } = together(kernel, scale);
  const before = (side - scale) / 2;
  const beyond = Math.ceil(before / scale);
  const [tall, long] = [high * scale, wide * scale];
  const result = new Float64Array(3 * tall * long);
  for (let channel = 0; channel < 3; channel++) {
    for (let y = -beyond; y < high + beyond; y++) {
      const row = channel * high + Math.min(Math.max(y, 0), high - 1);
      const top = y * scale - before;
      for (let x = -beyond; x < wide + beyond; x++) {
        const value = scale ** 2 * lr[row * wide + Math.min(Math.max(x, 0), wide - 1)];
        if (value === 0) continue;
        const left = x * scale - before;
        const [first, last] = [Math.max(left, 0), Math.min(left + side, long)];
        for (let to = Math.max(top, 0); to < Math.min(top + side, tall); to++) {
          const at = (channel * tall + to) * long;
          const tap = (to - top) * side - left;
          for (let column = first; column < last; column++) {
            result[at + column] += value * taps[tap + column];
          }
        }
      }
    }
  }
  return Float32Array.from(result);
}

/**
 * Kernel and antialiased bicubic in one.
 *
 * @param {Kernel} kernel
 * @param {number} scale
 * @returns {{taps: Float64Array, side: number}}
 */
function together({ taps, space }, scale) {
  const cubic = reduction(scale);
  const count = Math.round(Math.sqrt(taps.length));
  // An LR kernel is one whose taps lie a scale apart.
  const step = space === "hr" ? 1 : scale;
  const side = step * (count - 1) + cubic.length;
  const both = new Float64Array(side ** 2);
  taps.forEach((tap, place) => {
    const [top, left] = [step * Math.floor(place / count), step * (place % count)];
    cubic.forEach((down, y) => {
      cubic.forEach((across, x) => {
        both[(top + y) * side + left + x] += tap * down * across;
      });
    });
  });
  return { taps: both, side };
}

/**
 * Taps of the antialiased bicubic about the middle of an LR pixel, which is between two HR pixels or
 * on one.
 *
 * @param {number} scale
 */
function reduction(scale) {
  const count = 4 * scale - (scale % 2);
  const taps = Array.from({ length: count }, (_, at) => BICUBIC.weight((at - (count - 1) / 2) / scale));
  const total = taps.reduce((sum, tap) => sum + tap, 0);
  return taps.map((tap) => tap / total);
}
