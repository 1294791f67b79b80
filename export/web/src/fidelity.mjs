/**
 * How well a restoration explains its input: as well as the user asks for. As
 * `dcls_cli/upscaling/fidelity.py`.
 */

import { degraded, returned } from "./consistency.mjs";

/**
 * Up to here one step is made, whose length grows with the fidelity; beyond, more are made.
 */
export const ONE_STEP = 0.5;

/** Steps at a fidelity of 1. */
export const MOST_STEPS = 64;

const { fround } = Math;

/** @param {number} value */
const clipped = (value) => Math.min(Math.max(value, 0), 1);

/**
 * Return to a restoration what it lacks of its input.
 *
 * @param {Float32Array} lr (3, high, wide) in [0, 1].
 * @param {Float32Array} sr (3, scale * high, scale * wide) in [0, 1].
 * @param {import("./finishing.mjs").Sides} sides
 * @param {import("./consistency.mjs").Kernel} kernel that it was restored with.
 * @param {number} fidelity 0: the restoration as it is; 1: the input is explained.
 * @returns {Float32Array} another, in [0, 1], or the same.
 */
export function keepFaithful(lr, sr, sides, kernel, fidelity) {
  const { count, length } = stepsOf(fidelity);
  let ahead = sr;
  for (let step = 0; step < count; step++) {
    const seen = degraded(ahead, sides, kernel);
    const missing = lr.map((value, at) => value - seen[at]);
    const added = returned(missing, sides, kernel);
    const from = ahead;
    const moved = sr.map((_, at) => clipped(fround(from[at] + fround(fround(length) * added[at]))));
    // Nesterov's acceleration. All its numbers are fixed, so that tiles agree with their neighbours.
    const before = sr;
    ahead = moved.map((value, at) => fround(value + (step / (step + 3)) * (value - before[at])));
    sr = moved;
  }
  return sr;
}

/**
 * How many steps are made, and how long they are: 1 is the longest that always converges.
 *
 * @param {number} fidelity
 */
function stepsOf(fidelity) {
  if (fidelity <= ONE_STEP) return { count: Math.ceil(fidelity), length: fidelity / ONE_STEP };
  const count = Math.round(MOST_STEPS ** ((fidelity - ONE_STEP) / (1 - ONE_STEP)));
  return { count: Math.max(2, count), length: 1 };
}
