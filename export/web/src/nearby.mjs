/** What is around each pixel. */

/**
 * Reduce the square of pixels about each one, cut off at the borders.
 *
 * @param {Float32Array} values (high, wide).
 * @param {{high: number, wide: number}} size
 * @param {(one: number, other: number) => number} reduce
 * @param {number} reach pixels on each side.
 */
export function nearby(values, { high, wide }, reduce, reach) {
  /** @type {(from: Float32Array, length: number, step: number) => Float32Array} */
  const along = (from, length, step) => {
    const result = from.slice();
    for (let offset = 1; offset <= Math.min(reach, length - 1); offset++) {
      for (const side of [-offset, offset]) {
        for (let at = 0; at < from.length; at++) {
          const place = (Math.floor(at / step) % length) + side;
          if (place >= 0 && place < length) result[at] = reduce(result[at], from[at + side * step]);
        }
      }
    }
    return result;
  };
  return along(along(values, high, wide), wide, 1);
}

/**
 * A Gaussian, with the last pixels repeated beyond the borders.
 *
 * @param {Float32Array} plane (high, wide).
 * @param {{high: number, wide: number}} size
 * @param {number} sigma pixels.
 * @param {number} reach taps on each side.
 */
export function smoothed(plane, { high, wide }, sigma, reach) {
  const weights = Float32Array.from({ length: 2 * reach + 1 }, (_, at) =>
    Math.exp(-0.5 * ((at - reach) / sigma) ** 2),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const taps = weights.map((weight) => weight / total);
  const down = new Float32Array(plane.length);
  for (let y = 0; y < high; y++) {
    const target = down.subarray(y * wide, (y + 1) * wide);
    taps.forEach((tap, offset) => {
      const row = Math.min(Math.max(y + offset - reach, 0), high - 1) * wide;
      for (let x = 0; x < wide; x++) target[x] += tap * plane[row + x];
    });
  }
  const across = new Float32Array(plane.length);
  const line = new Float32Array(wide + 2 * reach);
  for (let row = 0; row < down.length; row += wide) {
    line.fill(down[row], 0, reach).fill(down[row + wide - 1], reach + wide);
    line.set(down.subarray(row, row + wide), reach);
    taps.forEach((tap, offset) => {
      for (let x = 0; x < wide; x++) across[row + x] += tap * line[x + offset];
    });
  }
  return across;
}
