/**
 * Traces that noise and compression leave in a picture: what tells a photograph from clean data. As
 * `dcls_cli/image/traces.py`.
 */

import { blocking, drawnIn, joined, plainNoise } from "./drawn.mjs";
import { quantile } from "./quantile.mjs";

/** Width of the blocks of JPEG, and of the blocks in which noise is measured. */
export const BLOCK_PX = 8;

export const WINDOW_PX = 256;
export const MOST_WINDOWS = 16;

/** Of all blocks, the share that is smooth enough to show noise and nothing else. */
export const QUIETEST = 0.05;

/** Of all blocks, the share with least detail of any direction, whose detail is compared. */
export const PLAINEST = 0.1;

/** Blocks darker or brighter are clipped, and clipping hides noise. */
export const UNCLIPPED = [8, 247];

/** Steps of fewer levels, among others as small, are those of blocks and no edges. */
export const SMALL = 6;

/** A step of more levels is an edge of the picture and would drown those of the grid. */
export const LARGEST_STEP = 8;

/** Levels of 255 as Python has them, whose samples in [0, 1] are rounded to float32. */
const LEVELS = Float64Array.from({ length: 256 }, (_, level) => Math.fround(level / 255) * 255);

/**
 * What a picture shows of its past.
 *
 * @typedef {object} Traces
 * @property {number} noise standard deviation of the finest diagonal detail in the quietest
 *     twentieth of the 8x8 blocks, 8-bit levels: 0.8 times that of white noise. Rounding leaves 0.3.
 * @property {number} whiteness amplitude of the finest diagonal detail over that of the finest
 *     horizontal and vertical detail, in the tenth of the blocks with least of both. White noise has
 *     1; in pictures, whose detail falls with its frequency, it is 0.2 to 0.5.
 * @property {number} grid how far the steps at the borders of 8x8 blocks stand out of all others, in
 *     standard errors, in the direction where they do so less. Chance leaves 1 to 2.
 * @property {number} blocking how much higher small steps are at those borders than elsewhere at
 *     most, levels.
 * @property {number} plainNoise standard deviation of the finest diagonal detail in the quietest
 *     third of the 4x4 blocks that are not of one colour, levels.
 * @property {number} equal share of the pixels that equal those to the right and below in all
 *     channels: much in drawings, hardly any in photographs.
 * @property {number} flat share of the 4x4 blocks that are of one colour.
 * @property {number} nearlyFlat share of the 4x4 blocks whose samples lie within 8 levels.
 * @property {number} colours different ones for each pixel, at most 1.
 *
 * @typedef {import("./drawn.mjs").Window} Window
 * @typedef {Pick<import("./picture.mjs").Picture, "width" | "height" | "samples">} Pixels
 *
 * @typedef {{diagonal: number, straight: number}} Detail powers of the finest detail of a block: of
 *     the diagonal one, and the mean of the horizontal and the vertical one.
 */

/**
 * Measure noise, a grid of blocks, and what drawings have. Large pictures are sampled in 16 windows
 * of 256 x 256 pixels, so that the time does not depend on their size.
 *
 * @param {Pixels} picture of any size; where its alpha is 0, nothing counts.
 * @returns {Traces}
 */
export function traces(picture) {
  /** @type {Detail[]} */
  const blocks = [];
  const drawn = [];
  const steps = [new PhaseSums(), new PhaseSums()];
  for (const window of windowsOf(picture)) {
    const { high, wide, visible } = window;
    const levels = levelsOf(window);
    blocks.push(...detailOfBlocks(levels, window));
    steps[0].add(levels, visible, { lines: high, length: wide, line: wide, next: 1 });
    steps[1].add(levels, visible, { lines: wide, length: high, line: 1, next: wide });
    drawn.push(drawnIn(window));
  }
  const diagonal = blocks.map((block) => block.diagonal);
  const both = (/** @type {"small" | "seen"} */ name) =>
    Array.from(steps[0][name], (sum, phase) => sum + steps[1][name][phase]);
  const inAll = joined(drawn);
  return {
    noise: diagonal.length ? Math.sqrt(quantile(diagonal, QUIETEST)) : 0,
    whiteness: whitenessOf(blocks),
    grid: Math.min(...steps.map((step) => step.prominence())),
    blocking: blocking(both("small"), both("seen")),
    plainNoise: plainNoise(inAll),
    equal: inAll.equal,
    flat: inAll.flat,
    nearlyFlat: inAll.nearlyFlat,
    colours: inAll.colours,
  };
}

/**
 * All of a small picture; windows spread evenly over a large one, on the grid of blocks.
 *
 * @param {Pixels} picture
 * @returns {Generator<Window>}
 */
function* windowsOf({ samples, width, height }) {
  for (const top of starts(height)) {
    for (const left of starts(width)) {
      const [high, wide] = [Math.min(WINDOW_PX, height - top), Math.min(WINDOW_PX, width - left)];
      const window = new Uint8ClampedArray(4 * high * wide);
      for (let y = 0; y < high; y++) {
        const from = 4 * ((top + y) * width + left);
        window.set(samples.subarray(from, from + 4 * wide), 4 * y * wide);
      }
      const visible = new Uint8Array(high * wide).map((_, at) => Number(window[4 * at + 3] > 0));
      yield { high, wide, samples: window, visible };
    }
  }
}

/**
 * First pixels of at most four windows, multiples of the block's width.
 *
 * @param {number} side
 */
function starts(side) {
  const most = MOST_WINDOWS ** 0.5;
  const count = Math.min(Math.ceil(side / WINDOW_PX), most);
  if (side <= most * WINDOW_PX) return Array.from({ length: count }, (_, index) => index * WINDOW_PX);
  const spread = (side - WINDOW_PX) / (most - 1);
  const place = (/** @type {number} */ index) => Math.floor((index * spread) / BLOCK_PX) * BLOCK_PX;
  return Array.from({ length: count }, (_, index) => place(index));
}

/**
 * Means of the channels.
 *
 * @param {Window} window
 */
function levelsOf({ samples, visible }) {
  const levels = new Float64Array(visible.length);
  for (let at = 0, from = 0; at < levels.length; at++, from += 4) {
    const [red, green, blue] = [samples[from], samples[from + 1], samples[from + 2]];
    levels[at] = (LEVELS[red] + LEVELS[green] + LEVELS[blue]) / 3;
  }
  return levels;
}

/**
 * The finest detail of each block that is visible and not clipped.
 *
 * @param {Float64Array} levels
 * @param {Window} window
 */
function detailOfBlocks(levels, { high, wide, visible }) {
  const blocks = [];
  // The last row and column have no neighbours.
  for (let top = 0; top + BLOCK_PX < high; top += BLOCK_PX) {
    for (let left = 0; left + BLOCK_PX < wide; left += BLOCK_PX) {
      const block = detailOf(levels, visible, top * wide + left, wide);
      if (block) blocks.push(block);
    }
  }
  return blocks;
}

/**
 * @param {Float64Array} levels
 * @param {Uint8Array} visible
 * @param {number} first place of the block's first pixel.
 * @param {number} wide
 * @returns {Detail | null} null for a block that is clipped or not wholly visible.
 */
function detailOf(levels, visible, first, wide) {
  let [sum, diagonal, horizontal, vertical] = [0, 0, 0, 0];
  for (let row = 0; row < BLOCK_PX; row++) {
    for (let at = first + row * wide; at < first + row * wide + BLOCK_PX; at++) {
      if (!visible[at]) return null;
      const [here, right] = [levels[at], levels[at + 1]];
      const [below, across] = [levels[at + wide], levels[at + wide + 1]];
      sum += here;
      diagonal += ((here - right - (below - across)) / 2) ** 2;
      horizontal += ((here - right + (below - across)) / 2) ** 2;
      vertical += ((here - below + (right - across)) / 2) ** 2;
    }
  }
  const [count, [low, most]] = [BLOCK_PX ** 2, UNCLIPPED];
  if (sum / count <= low || sum / count >= most) return null;
  return { diagonal: diagonal / count, straight: (horizontal / count + vertical / count) / 2 };
}

/**
 * Diagonal over straight amplitude in the blocks with least detail; 0 where there is none.
 *
 * @param {Detail[]} blocks
 */
function whitenessOf(blocks) {
  const detail = (/** @type {Detail} */ block) => block.diagonal + 2 * block.straight;
  const ordered = blocks.toSorted((one, other) => detail(one) - detail(other));
  const plainest = ordered.slice(0, Math.max(1, Math.floor(PLAINEST * blocks.length)));
  const power = plainest.reduce((sum, block) => sum + block.straight, 0);
  const diagonal = plainest.reduce((sum, block) => sum + block.diagonal, 0);
  return power > 0 ? Math.sqrt(diagonal / power) : 0;
}

/** Steps between neighbours of a line, summed for each of the eight places in a block. */
class PhaseSums {
  sums = new Float64Array(BLOCK_PX);
  counts = new Float64Array(BLOCK_PX);
  small = new Float64Array(BLOCK_PX);
  seen = new Float64Array(BLOCK_PX);
  squares = 0;

  /**
   * Count a window whose lines begin with the first pixel of a block.
   *
   * @param {Float64Array} levels
   * @param {Uint8Array} visible
   * @param {{lines: number, length: number, line: number, next: number}} way `line` leads to the
   *     next line, `next` to the next pixel of the same.
   */
  add(levels, visible, { lines, length, line, next }) {
    for (let index = 0; index < lines; index++) {
      // A step needs two neighbours.
      for (let x = 0, at = index * line; x < length - 3; x++, at += next) {
        const [first, second, third, last] = [at, at + next, at + 2 * next, at + 3 * next];
        if (!(visible[first] && visible[second] && visible[third] && visible[last])) continue;
        const before = Math.abs(levels[second] - levels[first]);
        const step = Math.abs(levels[third] - levels[second]);
        const after = Math.abs(levels[last] - levels[third]);
        const excess = step - (before + after) / 2;
        const clipped = Math.min(Math.max(excess, -LARGEST_STEP), LARGEST_STEP);
        const phase = x % BLOCK_PX;
        this.sums[phase] += clipped;
        this.counts[phase] += 1;
        this.squares += clipped ** 2;
        if (Math.max(before, step, after) >= SMALL) continue;
        this.small[phase] += excess;
        this.seen[phase] += 1;
      }
    }
  }

  /** The largest mean of a place over the median of all, in standard errors. */
  prominence() {
    if (this.counts.includes(0) || this.squares === 0) return 0;
    const means = this.sums.map((sum, phase) => sum / this.counts[phase]);
    const count = this.counts.reduce((sum, value) => sum + value);
    const error = Math.sqrt(this.squares / count / (count / BLOCK_PX));
    return (Math.max(...means) - quantile(means, 0.5)) / error;
  }
}
