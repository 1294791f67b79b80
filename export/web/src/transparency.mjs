/** Colours under alpha 0: nobody sees them, and no network should. */

/**
 * Colours of 2 x 2 squares, and whether a square has a visible pixel.
 *
 * @typedef {{width: number, height: number, colour: Float32Array, visible: Uint8Array}} Level
 */

/**
 * Give the pixels with alpha 0 the mean colour of the visible ones in the smallest square of 2, 4, 8,
 * ... pixels around them that has any. As `dcls_cli/image/colour.py`.
 *
 * @param {Uint8ClampedArray} samples (height, width, 4), changed in place.
 * @param {number} width
 */
export function fillHidden(samples, width) {
  const height = samples.length / 4 / width;
  const visible = Uint8Array.from({ length: width * height }, (_, at) => Number(samples[4 * at + 3] > 0));
  if (visible.every(Boolean) || !visible.some(Boolean)) return;
  const colour = new Float32Array(3 * visible.length);
  for (let at = 0; at < visible.length; at++) colour.set(samples.subarray(4 * at, 4 * at + 3), 3 * at);
  const level = { width, height, colour, visible };
  spread(level);
  for (let at = 0; at < visible.length; at++) {
    if (!visible[at]) samples.set(colour.subarray(3 * at, 3 * at + 3), 4 * at);
  }
}

/** @param {Level} level whose squares without a visible pixel are filled from twice as large ones. */
function spread({ width, height, colour, visible }) {
  if (visible.every(Boolean)) return;
  const coarse = halve({ width, height, colour, visible });
  spread(coarse);
  for (let at = 0; at < visible.length; at++) {
    if (visible[at]) continue;
    const above = 3 * squareOf(at, width, coarse.width);
    colour.set(coarse.colour.subarray(above, above + 3), 3 * at);
  }
}

/**
 * Index of the square of twice the size around a pixel.
 *
 * @param {number} at
 * @param {number} width
 * @param {number} coarse width.
 */
function squareOf(at, width, coarse) {
  return (Math.floor(at / width) >> 1) * coarse + ((at % width) >> 1);
}

/**
 * @param {Level} level
 * @returns {Level} means over the visible pixels of each square.
 */
function halve({ width, height, colour, visible }) {
  const [wide, high] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const means = new Float32Array(3 * wide * high);
  const counts = new Uint8Array(wide * high);
  for (let at = 0; at < visible.length; at++) {
    if (!visible[at]) continue;
    const square = squareOf(at, width, wide);
    counts[square]++;
    for (let channel = 0; channel < 3; channel++) {
      means[3 * square + channel] += colour[3 * at + channel];
    }
  }
  for (let at = 0; at < means.length; at++) means[at] /= Math.max(counts[Math.floor(at / 3)], 1);
  return { width: wide, height: high, colour: means, visible: counts.map((count) => Math.min(count, 1)) };
}
