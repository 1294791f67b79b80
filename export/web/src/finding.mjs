/**
 * The blur that a picture is restored with: estimated, and believed only where it is seen. As
 * `dcls_cli/upscaling/finding.py`, which says why; the networks of the page need no `completed`.
 */

import { widthOf } from "./kernel.mjs";
import { narrowBlur } from "./narrow.mjs";
import { cut } from "./picture.mjs";
import { Sample } from "./sample.mjs";
import { survey } from "./survey.mjs";

/**
 * Total variation of a restoration over that of the bicubic enlargement: more than these are
 * stripes, in a picture without flat parts and in one of them alone.
 */
export const LIMIT_DETAILED = 3.2;
export const LIMIT_FLAT = 1.6;

/** So much is no matter of degree: then the second limit holds for what is tried. */
export const BEYOND_DOUBT = 4.0;

/** Share of flat blocks from which the second limit holds; the limit falls evenly up to there. */
export const FLAT_SHARE = 0.6;

/** What a picture of lines and dots has of itself: so many times the ratio of the narrow blur. */
export const OWN_DETAIL = 1.1;

/** Parts of the estimate that are tried. */
export const TRIALS = [1.0, 0.8, 0.6, 0.4, 0.2, 0.0];

/**
 * What a picture has, restored with the blur of a sharp one, and how wide its own blur can be then,
 * in LR pixels: the bounds of photographs that were blurred by known widths.
 */
export const SHARPNESS = [1.14, 1.2, 1.32, 1.44, 1.58, 1.88, 2.2];
export const WIDEST_LR_PX = [1.2, 0.8, 0.6, 0.49, 0.41, 0.32, 0.26];

/**
 * @typedef {import("./network.mjs").Blur} Blur
 * @typedef {import("./network.mjs").Network} Network
 * @typedef {import("./picture.mjs").Picture} Picture
 * @typedef {import("./picture.mjs").Plane} Plane
 * @typedef {import("./survey.mjs").Survey} Survey
 *
 * @typedef {object} FoundBlur
 * @property {Blur} blur what the picture is restored with.
 * @property {number} confidence share of the estimate in it, 0 to 1.
 * @property {number} estimated width of the estimate, in the kernel's pixels.
 * @property {Survey} seen the picture at a glance.
 */

/**
 * Estimate the blur of a picture, and find out how far to believe it.
 *
 * @param {Picture} picture
 * @param {Plane} what
 * @param {Network} network
 * @returns {Promise<FoundBlur>}
 */
export async function findBlur(picture, what, network) {
  const seen = survey(picture, what);
  const estimate = await estimated(picture, what, network, seen);
  const estimatedWidth = widthOf(tapsOf(estimate));
  const found = (/** @type {Blur} */ blur, /** @type {number} */ confidence) => ({
    blur,
    confidence,
    estimated: estimatedWidth,
    seen,
  });
  const sample = new Sample(picture, what, network, seen);
  if (sample.empty) return found(between(network, estimate, await narrowBlur(network), 0), 0);
  const oscillation = await sample.oscillation(estimate);
  const narrowest = /** @type {number} */ (WIDEST_LR_PX.at(-1));
  if (oscillation <= limitOf(seen) && lrWidth(estimate, network) <= narrowest) {
    return found(estimate, 1);
  }
  const narrow = await narrowBlur(network);
  const sharpness = await sample.oscillation(between(network, estimate, narrow, 0));
  const doubted = oscillation > BEYOND_DOUBT ? LIMIT_FLAT : limitOf(seen);
  const limit = Math.max(doubted, OWN_DETAIL * sharpness);
  const widest = interpolated(sharpness, SHARPNESS, WIDEST_LR_PX);
  for (const share of TRIALS) {
    const trial = between(network, estimate, narrow, share);
    if (share === 0) break;
    if (lrWidth(trial, network) > widest) continue;
    const now = share === 1 ? oscillation : await sample.oscillation(trial);
    if (now <= limit) return found(trial, share);
  }
  return found(between(network, estimate, narrow, 0), 0);
}

/** @param {Blur} blur */
export const tapsOf = (blur) => /** @type {Float32Array} */ (blur.kernel.data);

/** @param {Survey} seen */
function limitOf({ flat }) {
  return LIMIT_DETAILED + Math.min(flat / FLAT_SHARE, 1) * (LIMIT_FLAT - LIMIT_DETAILED);
}

/**
 * Width of a blur, LR pixels.
 *
 * @param {Blur} blur
 * @param {Network} network
 */
function lrWidth(blur, { config }) {
  return widthOf(tapsOf(blur)) / (config.kernel_space === "hr" ? config.scale : 1);
}

/**
 * The estimate, from the colours in which the picture has its fine detail.
 *
 * @param {Picture} picture
 * @param {Plane} what
 * @param {Network} network
 * @param {Survey} seen
 */
function estimated(picture, what, network, { colours }) {
  return network.estimate(picture.height, picture.width, (window) => {
    const planes = cut(picture, window, what);
    return colours ? along(planes, colours) : planes;
  });
}

/**
 * A picture along one direction of its colours, as a grey one.
 *
 * @param {Float32Array} planes (3, rows, columns), changed in place.
 * @param {number[]} weights of R, G and B.
 */
export function along(planes, [red, green, blue]) {
  const count = planes.length / 3;
  const least = Math.min(red, 0) + Math.min(green, 0) + Math.min(blue, 0);
  for (let at = 0; at < count; at++) {
    const sum = red * planes[at] + green * planes[count + at] + blue * planes[2 * count + at];
    planes[at] = planes[count + at] = planes[2 * count + at] = sum - least;
  }
  return planes;
}

/**
 * Between a narrow blur (0) and an estimate (1); the noise stays that of the picture.
 *
 * @param {Network} network
 * @param {Blur} blur the estimate.
 * @param {Blur} narrow
 * @param {number} share
 * @returns {Blur}
 */
function between({ ort }, blur, narrow, share) {
  const [part, rest] = [Math.fround(share), Math.fround(1 - share)];
  const mixed = { ...blur };
  for (const name of ["kernel", "smoothing"]) {
    if (!blur[name] || !narrow[name]) continue;
    const [one, other] = [blur, narrow].map((from) => /** @type {Float32Array} */ (from[name].data));
    const values = one.map((value, at) => Math.fround(part * value) + Math.fround(rest * other[at]));
    mixed[name] = new ort.Tensor("float32", values, blur[name].dims);
  }
  return mixed;
}

/**
 * A line through points whose abscissae grow, level beyond them.
 *
 * @param {number} at
 * @param {number[]} from
 * @param {number[]} to
 */
export function interpolated(at, from, to) {
  if (at <= from[0]) return to[0];
  const next = from.findIndex((value) => value > at);
  if (next < 0) return to[to.length - 1];
  const slope = (to[next] - to[next - 1]) / (from[next] - from[next - 1]);
  return slope * (at - from[next - 1]) + to[next - 1];
}
