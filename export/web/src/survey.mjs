/**
 * A picture at a glance, before its blur is estimated: where it has detail, and in which colours. As
 * `dcls_cli/upscaling/survey.py`.
 */

export { NO_SUM } from "./axes.mjs";
import { firstAxis } from "./axes.mjs";
import { CHANNELS } from "./picture.mjs";

/** Side of the blocks that detail is counted in, pixels. */
export const BLOCK_PX = 8;

/** Rows that are looked at at a time. */
export const BAND_PX = 16 * BLOCK_PX;

/** A block whose samples differ by less is flat, of full scale: rounding and weak JPEG leave less. */
export const FLAT = 2.5 / 255;

/**
 * A picture of at most the first number of colours, of 8 bits, is drawn; one of the second or more
 * need not be.
 */
export const FEW_COLOURS = [64, 128];

/** The grey picture stands for all colours if it has this share of their fine detail. */
export const GREY_SUFFICES = 0.6;

const { fround } = Math;

/** Samples in [0, 1]. */
const LEVELS = Float32Array.from({ length: 256 }, (_, level) => level / 255);

/**
 * @typedef {object} Survey
 * @property {Float32Array} detail total variation of each block of 8 x 8 pixels, (rows, columns);
 *     full scale is 1.
 * @property {number} rows of blocks.
 * @property {number} columns of blocks.
 * @property {number} flat share of the blocks that are flat, 0 to 1.
 * @property {number[] | null} colours weights of R, G and B in the direction of colour in which fine
 *     detail is strongest, of absolute sum 1; null where the grey picture has most of it.
 * @property {boolean} neutral whether R = G = B everywhere.
 * @property {number} fewColours how surely the picture is drawn in a few colours, 0 to 1.
 *
 * @typedef {import("./picture.mjs").Picture} Picture
 * @typedef {import("./picture.mjs").Plane} Plane
 * @typedef {{top: number, high: number}} Band rows of a picture.
 */

/**
 * Look at all of a picture once, in bands of rows.
 *
 * @param {Picture} picture
 * @param {Plane} what
 * @returns {Survey}
 */
export function survey(picture, what) {
  const { width, height } = picture;
  const [rows, columns] = [Math.ceil(height / BLOCK_PX), Math.ceil(width / BLOCK_PX)];
  const detail = new Float32Array(rows * columns);
  const neutral = what === "alpha" || isNeutral(picture);
  const covariance = new Float64Array(9);
  let flat = 0;
  for (let top = 0; top < height; top += BAND_PX) {
    // One row more, so that no step between rows is lost.
    const band = { top, high: Math.min(BAND_PX + 1, height - top) };
    const core = { top, high: Math.min(BAND_PX, height - top) };
    if (!neutral) addCovariance(covariance, picture, band);
    const steps = stepsOf(picture, what, band);
    sumBlocks(steps, core.high, width, detail.subarray((top / BLOCK_PX) * columns));
    flat += flatBlocks(picture, what, core);
  }
  const colours = neutral ? null : direction(covariance);
  const fewColours = drawn(picture, what);
  return { detail, rows, columns, flat: flat / detail.length, colours, neutral, fewColours };
}

/**
 * How surely a picture is drawn in a few colours.
 *
 * @param {Picture} picture
 * @param {Plane} what
 */
function drawn({ samples }, what) {
  const [red, green, blue] = CHANNELS[what];
  const [fewest, most] = FEW_COLOURS;
  const colours = new Set();
  for (let at = 0; at < samples.length && colours.size < most; at += 4) {
    colours.add((samples[at + red] << 16) | (samples[at + green] << 8) | samples[at + blue]);
  }
  return Math.min(Math.max((most - colours.size) / (most - fewest), 0), 1);
}

/** @param {Picture} picture */
function isNeutral({ samples }) {
  for (let at = 0; at < samples.length; at += 4) {
    if (samples[at] !== samples[at + 1] || samples[at] !== samples[at + 2]) return false;
  }
  return true;
}

/**
 * Differences to the pixels below and to the right, all channels, rounded where Python rounds.
 *
 * @param {Picture} picture
 * @param {Plane} what
 * @param {Band} band
 */
function stepsOf({ samples, width }, what, { top, high }) {
  const [red, green, blue] = CHANNELS[what];
  const steps = new Float32Array(high * width);
  const between = (/** @type {number} */ one, /** @type {number} */ other) => {
    const step = (/** @type {number} */ channel) =>
      Math.abs(fround(LEVELS[samples[one + channel]] - LEVELS[samples[other + channel]]));
    return fround(fround(step(red) + step(green)) + step(blue));
  };
  for (let y = 0, at = 0; y < high; y++) {
    for (let x = 0; x < width; x++, at++) {
      const here = (top * width + at) * 4;
      const across = x < width - 1 ? between(here, here + 4) : 0;
      const down = y < high - 1 ? between(here, here + 4 * width) : 0;
      steps[at] = across + down;
    }
  }
  return steps;
}

/**
 * Sum each block, whole or cut off at the border; rounded as NumPy's `reduceat` does.
 *
 * @param {Float32Array} values (high or more, wide).
 * @param {number} high
 * @param {number} wide
 * @param {Float32Array} sums (rows, columns), filled from its start.
 */
function sumBlocks(values, high, wide, sums) {
  const line = new Float32Array(wide);
  for (let top = 0, out = 0; top < high; top += BLOCK_PX) {
    for (let x = 0; x < wide; x++) {
      let rest = 0;
      for (let y = top + 1; y < Math.min(top + BLOCK_PX, high); y++) {
        rest = fround(rest + values[y * wide + x]);
      }
      line[x] = values[top * wide + x] + rest;
    }
    for (let left = 0; left < wide; left += BLOCK_PX, out++) {
      let rest = 0;
      for (let x = left + 1; x < Math.min(left + BLOCK_PX, wide); x++) rest = fround(rest + line[x]);
      sums[out] = line[left] + rest;
    }
  }
}

/**
 * How many blocks are flat in all channels.
 *
 * @param {Picture} picture
 * @param {Plane} what
 * @param {Band} core
 */
function flatBlocks({ samples, width }, what, { top, high }) {
  let count = 0;
  for (let y = top; y < top + high; y += BLOCK_PX) {
    const bottom = Math.min(y + BLOCK_PX, top + high);
    for (let x = 0; x < width; x += BLOCK_PX) {
      const right = Math.min(x + BLOCK_PX, width);
      const flat = CHANNELS[what].every((channel) => {
        let [low, most] = [255, 0];
        for (let row = y; row < bottom; row++) {
          for (let at = (row * width + x) * 4; at < (row * width + right) * 4; at += 4) {
            low = Math.min(low, samples[at + channel]);
            most = Math.max(most, samples[at + channel]);
          }
        }
        return (most - low) / 255 < FLAT;
      });
      count += Number(flat);
    }
  }
  return count;
}

/**
 * Add the products of the second differences of R, G and B of a band.
 *
 * @param {Float64Array} total (3, 3).
 * @param {Picture} picture
 * @param {Band} band
 */
function addCovariance(total, { samples, width }, { top, high }) {
  const [first, end] = [top * width * 4, (top + high) * width * 4];
  let [rr, gg, bb, rg, rb, gb] = [0, 0, 0, 0, 0, 0];
  const add = (/** @type {number} */ before, /** @type {number} */ step) => {
    const [here, after] = [before + step, before + 2 * step];
    const r = samples[before] - 2 * samples[here] + samples[after];
    const g = samples[before + 1] - 2 * samples[here + 1] + samples[after + 1];
    const b = samples[before + 2] - 2 * samples[here + 2] + samples[after + 2];
    rr += r * r;
    gg += g * g;
    bb += b * b;
    rg += r * g;
    rb += r * b;
    gb += g * b;
  };
  for (let at = first; at + 8 * width < end; at += 4) add(at, 4 * width);
  for (let row = first; row < end; row += 4 * width) {
    for (let at = row; at + 8 < row + 4 * width; at += 4) add(at, 4);
  }
  [rr, rg, rb, rg, gg, gb, rb, gb, bb].forEach((sum, at) => {
    total[at] += sum / 255 ** 2;
  });
}

/**
 * The first eigenvector, unless grey has most of the power.
 *
 * @param {Float64Array} covariance (3, 3).
 */
function direction(covariance) {
  const power = covariance[0] + covariance[4] + covariance[8];
  const grey = covariance.reduce((sum, value) => sum + value) / 3;
  if (power === 0 || grey >= GREY_SUFFICES * power) return null;
  const axis = firstAxis(covariance);
  const length = axis.reduce((sum, part) => sum + Math.abs(part), 0);
  return axis.map((part) => fround(part / length));
}
