/**
 * Which of the networks suits a picture: the rule behind `-m auto`, as `dcls_cli/models/auto.py`. The
 * build takes its steps from `dcls_cli/models/auto.json`.
 */

import { Failure } from "./failures.mjs";
import { traces } from "./traces.mjs";

/** Quality that stands for files without loss, and for lossy ones that do not tell theirs. */
export const LOSSLESS_QUALITY = 101;
export const UNKNOWN_QUALITY = 80;

/**
 * Expected gains, dB, from which the network for photographs is taken: where a picture shows damage,
 * and where it does not.
 */
export const LIKELY_DB = 0.1;
export const SURE_DB = 0.35;

/** What a JPEG of a lower quality has lost shows in any picture; so it does in other lossy files. */
export const SHOWING_QUALITY = 95;

/**
 * What shows damage in a file without loss: noise that is white enough to be no texture, and steps on
 * a grid of blocks (see `Traces`).
 */
export const NOISE_LIMIT = 1.0;
export const WHITENESS_LIMIT = 0.55;
export const GRID_LIMIT = 5.0;
export const BLOCKING_LIMIT = 0.15;

/** Noise that is so strong and so white is no texture, whatever else the picture shows. */
export const EVIDENT_NOISE = 2.0;
export const EVIDENT_WHITENESS = 0.75;

/** Features that show noise, and those that show an earlier JPEG. */
export const OF_NOISE = ["noise", "whiteness", "plain_noise"];
export const OF_JPEG = ["grid", "blocking"];

/**
 * A part of the rule: what a feature adds below a limit, and from it on, to the gain of the network
 * for photographs over the other, dB.
 *
 * @typedef {[feature: string, limit: number, below: number, above: number]} Step
 * @typedef {{start: number, steps: Step[]}} Rule what all pictures have in common, and the steps.
 *
 * @typedef {Record<string, number>} Features by the names of the rule.
 * @typedef {{model: string, reason: string}} Choice a network, and what it was chosen by.
 *
 * @typedef {{form: string} & import("./compression.mjs").Compression} Origin of a picture.
 * @typedef {import("./traces.mjs").Pixels & Origin} Decoded
 */

/**
 * Choose the network that restores a picture better, as far as the picture tells. The one for
 * photographs knows noise, JPEG and blur of any direction; the light one restores more where there is
 * none of that, and sharpens it where there is.
 *
 * @param {Decoded} picture
 * @returns {Promise<Choice>}
 */
export async function choose(picture) {
  const seen = features(picture);
  const { start, steps } = await rule();
  /** @type {Features} */
  const gains = {};
  for (const [feature, limit, below, above] of steps) {
    gains[feature] = (gains[feature] ?? 0) + (seen[feature] < limit ? below : above);
  }
  const gain = start + Object.values(gains).reduce((sum, value) => sum + value, 0);
  return suitsPhoto(gain, seen)
    ? { model: "dcls-photo-x4", reason: whyPhoto(picture, seen, gains) }
    : { model: "dcls-light-x4", reason: whyLight(picture, seen) };
}

/**
 * Whether an expected gain is enough to take the network for photographs.
 *
 * @param {number} gain of that network over the other, dB.
 * @param {Features} seen
 */
export function suitsPhoto(gain, seen) {
  const noisy = seen.noise > NOISE_LIMIT && seen.whiteness > WHITENESS_LIMIT;
  const blocks = seen.grid > GRID_LIMIT || seen.blocking > BLOCKING_LIMIT;
  const lossy = seen.quality < LOSSLESS_QUALITY;
  if (seen.quality < SHOWING_QUALITY || evidentlyNoisy(seen)) return true;
  return gain > (lossy || noisy || blocks ? LIKELY_DB : SURE_DB);
}

/** @param {Features} seen */
function evidentlyNoisy({ noise, whiteness }) {
  return noise > EVIDENT_NOISE && whiteness > EVIDENT_WHITENESS;
}

/**
 * What the rule looks at: the traces of a picture, and the quality of its file.
 *
 * @param {Decoded} picture
 * @returns {Features}
 */
export function features(picture) {
  const { plainNoise, nearlyFlat, ...others } = traces(picture);
  const quality = picture.quality ?? (picture.lossless ? LOSSLESS_QUALITY : UNKNOWN_QUALITY);
  return { ...others, plain_noise: plainNoise, nearly_flat: nearlyFlat, quality };
}

/** @returns {Promise<Rule>} */
async function rule() {
  const response = await fetch(new URL("choice.json", import.meta.url)).catch(() => null);
  const table = response?.ok ? await response.json().catch(() => null) : null;
  if (!table) {
    throw new Failure("files", "choice.json is missing or damaged: build the page anew.");
  }
  return table;
}

/**
 * The strongest argument for the network for photographs.
 *
 * @param {Origin} origin
 * @param {Features} seen
 * @param {Features} gains
 */
function whyPhoto({ form, lossless }, seen, gains) {
  if (!lossless) return `${form} compresses with loss`;
  const [ofNoise, ofJpeg] = [OF_NOISE, OF_JPEG].map((names) =>
    names.reduce((sum, name) => sum + (gains[name] ?? 0), 0),
  );
  const evident = evidentlyNoisy(seen);
  if (ofJpeg > Math.max(ofNoise, 0) && !evident) return "it shows traces of an earlier JPEG";
  if (evident || (ofNoise > 0 && seen.noise > NOISE_LIMIT)) {
    return `it shows noise of ${seen.noise.toFixed(1)} levels of 255`;
  }
  return "it looks like a photograph that is not quite clean";
}

/**
 * What speaks for clean data.
 *
 * @param {Origin} origin
 * @param {Features} seen
 */
function whyLight({ form, lossless }, seen) {
  if (!lossless) return `what ${form} has lost does not show`;
  if (seen.equal > seen.colours) return "it has the flat colours of a drawing";
  return "it shows no noise and no compression";
}
