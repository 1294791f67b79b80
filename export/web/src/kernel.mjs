/** Measures of a kernel. */

/**
 * Root of the mean second central moment per axis, in the kernel's pixels; sigma of an isotropic
 * Gaussian. As `KernelShape.width_px` of dcls: negative taps count as 0.
 *
 * @param {Float32Array} taps k * k of them, row by row.
 */
export function widthOf(taps) {
  const size = Math.sqrt(taps.length);
  let [total, x, y, squares] = [0, 0, 0, 0];
  taps.forEach((tap, index) => {
    const [row, column, mass] = [Math.floor(index / size), index % size, Math.max(tap, 0)];
    total += mass;
    x += mass * column;
    y += mass * row;
    squares += mass * (row * row + column * column);
  });
  if (total === 0) return 0;
  return Math.sqrt(Math.max((squares - (x * x + y * y) / total) / total / 2, 0));
}
