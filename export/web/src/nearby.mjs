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
