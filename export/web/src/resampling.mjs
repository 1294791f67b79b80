/** Enlarging as Pillow does it, to the last bit: sums in double precision, planes in float32. */

/**
 * A filter: how far it reaches, in pixels of the source, and its weight at a distance.
 *
 * @typedef {{support: number, weight: (distance: number) => number}} Filter
 */

/** @type {Filter} */
export const BILINEAR = { support: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) };

/** Keys' cubic, a = -0.5. @type {Filter} */
export const BICUBIC = {
  support: 2,
  weight: (signed) => {
    const [a, x] = [-0.5, Math.abs(signed)];
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
  },
};

/**
 * Enlarge a plane.
 *
 * @param {Float32Array} plane (height, width).
 * @param {number} height
 * @param {number} width
 * @param {number} scale at least 2.
 * @param {Filter} filter
 * @returns {Float32Array} (scale * height, scale * width).
 */
export function enlarged(plane, height, width, scale, filter) {
  const wide = scale * width;
  const across = taps(width, scale, filter);
  const rows = new Float32Array(height * wide);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < wide; x++, at++) {
      const [from, count, first] = [across.from[x], across.count[x], x * across.most];
      let sum = 0;
      for (let tap = 0; tap < count; tap++) {
        sum += plane[y * width + from + tap] * across.weights[first + tap];
      }
      rows[at] = sum;
    }
  }
  const down = taps(height, scale, filter);
  const large = new Float32Array(scale * height * wide);
  for (let y = 0, at = 0; y < scale * height; y++) {
    const [from, count, first] = [down.from[y], down.count[y], y * down.most];
    for (let x = 0; x < wide; x++, at++) {
      let sum = 0;
      for (let tap = 0; tap < count; tap++) {
        sum += rows[(from + tap) * wide + x] * down.weights[first + tap];
      }
      large[at] = sum;
    }
  }
  return large;
}

/**
 * What each pixel of the result is made of: `count` pixels of the source, the first of which is
 * `from`. At the borders the weights that are left are made to sum to 1.
 *
 * @param {number} length of the source.
 * @param {number} scale
 * @param {Filter} filter
 */
function taps(length, scale, { support, weight }) {
  const most = 2 * support + 1;
  const [from, count] = [new Int32Array(scale * length), new Int32Array(scale * length)];
  const weights = new Float64Array(scale * length * most);
  for (let at = 0; at < scale * length; at++) {
    const centre = (at + 0.5) * (length / (scale * length));
    from[at] = Math.max(Math.trunc(centre - support + 0.5), 0);
    count[at] = Math.min(Math.trunc(centre + support + 0.5), length) - from[at];
    let total = 0;
    for (let tap = 0; tap < count[at]; tap++) {
      const found = weight(tap + from[at] - centre + 0.5);
      weights[at * most + tap] = found;
      total += found;
    }
    for (let tap = 0; tap < count[at]; tap++) weights[at * most + tap] /= total;
  }
  return { from, count, weights, most };
}
