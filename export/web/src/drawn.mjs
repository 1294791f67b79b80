/**
 * What tells drawings from photographs: equal pixels, flat blocks, few colours. As
 * `dcls_cli/image/drawn.py`.
 */

import { quantile } from "./quantile.mjs";

export const BLOCK_PX = 4;

/** Samples of a nearly flat block lie within fewer levels. */
export const NEARLY = 9;

/** Part of the blocks that are not of one colour which are quiet. */
export const QUIET = 1 / 3;

/**
 * The place, among the steps of a block, of the one that lies on a border of JPEG's: number 7 of
 * eight, and number 6 of those that have a neighbour before them.
 */
export const ON_BORDER = 6;

/**
 * A part of a picture.
 *
 * @typedef {object} Window
 * @property {number} high
 * @property {number} wide
 * @property {Uint8ClampedArray} samples (high, wide, 4): RGB and alpha.
 * @property {Uint8Array} visible (high, wide), 0 where nothing counts.
 *
 * Of a picture or a window of it; see `Traces`.
 *
 * @typedef {object} Drawn
 * @property {number} pixels that count.
 * @property {number} equal
 * @property {number} flat
 * @property {number} nearlyFlat
 * @property {number} colours
 * @property {number[]} powers of the finest detail of each 4x4 block that is not of one colour,
 *     levels squared.
 */

/**
 * See `Traces`; 0 if all blocks are of one colour.
 *
 * @param {Drawn} drawn
 */
export function plainNoise({ powers }) {
  return powers.length ? Math.sqrt(quantile(powers, QUIET)) : 0;
}

/**
 * Measure a window.
 *
 * @param {Window} window
 * @returns {Drawn}
 */
export function drawnIn(window) {
  const pixels = window.visible.reduce((sum, visible) => sum + visible, 0);
  const spreads = spreadsOf(window);
  return {
    pixels,
    equal: equalIn(window),
    flat: share(spreads, (spread) => spread === 0),
    nearlyFlat: share(spreads, (spread) => spread < NEARLY),
    colours: differentIn(window) / Math.max(pixels, 1),
    powers: powersOf(window),
  };
}

/**
 * The same of all windows together, each counting by its pixels; colours are those of each.
 *
 * @param {Drawn[]} windows
 * @returns {Drawn}
 */
export function joined(windows) {
  const pixels = windows.reduce((sum, window) => sum + window.pixels, 0);
  const weight = (/** @type {Drawn} */ window) => (pixels ? window.pixels : 1);
  const total = windows.reduce((sum, window) => sum + weight(window), 0);
  const mean = (/** @type {"equal" | "flat" | "nearlyFlat" | "colours"} */ name) =>
    windows.reduce((sum, window) => sum + window[name] * weight(window), 0) / total;
  return {
    pixels,
    equal: mean("equal"),
    flat: mean("flat"),
    nearlyFlat: mean("nearlyFlat"),
    colours: mean("colours"),
    powers: windows.flatMap((window) => window.powers),
  };
}

/**
 * Mean excess of small steps on the borders of 8x8 blocks, less the largest one elsewhere.
 *
 * @param {number[]} sums
 * @param {number[]} counts
 */
export function blocking(sums, counts) {
  const means = sums.map((sum, place) => sum / Math.max(counts[place], 1));
  return means[ON_BORDER] - Math.max(...means.filter((_, place) => place !== ON_BORDER));
}

/**
 * Share of the pixels that equal those to the right and below, of those that are visible with them.
 *
 * @param {Window} window
 */
function equalIn({ samples, visible, high, wide }) {
  const same = (/** @type {number} */ one, /** @type {number} */ other) =>
    samples[4 * one] === samples[4 * other] &&
    samples[4 * one + 1] === samples[4 * other + 1] &&
    samples[4 * one + 2] === samples[4 * other + 2];
  let [equal, all] = [0, 0];
  for (let y = 0; y < high - 1; y++) {
    for (let at = y * wide; at < (y + 1) * wide - 1; at++) {
      if (!(visible[at] && visible[at + 1] && visible[at + wide])) continue;
      equal += Number(same(at, at + 1) && same(at, at + wide));
      all++;
    }
  }
  return all ? equal / all : 0;
}

/**
 * Largest less smallest level of each block that is visible, in the channel where that is most.
 *
 * @param {Window} window
 */
function spreadsOf({ samples, visible, high, wide }) {
  const spreads = [];
  const offsets = offsetsOf(wide);
  for (const first of blocksOf(high, wide, wide)) {
    if (!offsets.every((offset) => visible[first + offset])) continue;
    let spread = 0;
    for (let channel = 0; channel < 3; channel++) {
      let [low, most] = [255, 0];
      for (const offset of offsets) {
        const level = samples[4 * (first + offset) + channel];
        low = Math.min(low, level);
        most = Math.max(most, level);
      }
      spread = Math.max(spread, most - low);
    }
    spreads.push(spread);
  }
  return spreads;
}

/**
 * How many colours are visible.
 *
 * @param {Window} window
 */
function differentIn({ samples, visible }) {
  const colours = new Set();
  for (let at = 0, from = 0; at < visible.length; at++, from += 4) {
    if (!visible[at]) continue;
    colours.add((samples[from] << 16) | (samples[from + 1] << 8) | samples[from + 2]);
  }
  return colours.size;
}

/**
 * Power of the finest detail of each block that is visible and not of one colour.
 *
 * @param {Window} window
 */
function powersOf({ samples, visible, high, wide }) {
  const grey = new Float64Array(visible.length);
  for (let at = 0, from = 0; at < grey.length; at++, from += 4) {
    grey[at] = (samples[from] + samples[from + 1] + samples[from + 2]) / 3;
  }
  const powers = [];
  const offsets = offsetsOf(wide);
  // The last row and column have no neighbours.
  for (const first of blocksOf(high - 1, wide - 1, wide)) {
    let [shown, sum] = [true, 0];
    for (const offset of offsets) {
      const [here, below] = [first + offset, first + offset + wide];
      if (!(visible[here] && visible[here + 1] && visible[below] && visible[below + 1])) shown = false;
      sum += ((grey[here] - grey[here + 1] - grey[below] + grey[below + 1]) / 2) ** 2;
    }
    if (shown && sum > 0) powers.push(sum / offsets.length);
  }
  return powers;
}

/**
 * The place of the first sample of each whole block.
 *
 * @param {number} high
 * @param {number} wide
 * @param {number} stride from a row to the next.
 */
function* blocksOf(high, wide, stride) {
  for (let top = 0; top + BLOCK_PX <= high; top += BLOCK_PX) {
    for (let left = 0; left + BLOCK_PX <= wide; left += BLOCK_PX) yield top * stride + left;
  }
}

/**
 * How far the samples of a block are from its first one.
 *
 * @param {number} stride from a row to the next.
 */
function offsetsOf(stride) {
  return Array.from({ length: BLOCK_PX ** 2 }, (_, at) => {
    return Math.floor(at / BLOCK_PX) * stride + (at % BLOCK_PX);
  });
}

/**
 * @param {number[]} values
 * @param {(value: number) => boolean} holds
 */
const share = (values, holds) => (values.length ? values.filter(holds).length / values.length : 0);
