/** The direction in which points of three coordinates spread most. */

/** A sum of the coordinates below this is rounding, and says nothing about the sign. */
export const NO_SUM = 2e-6;

/** Enough rounds of Jacobi's rotations for a matrix of 3 x 3. */
const ROUNDS = 12;

/**
 * Eigenvector of the largest eigenvalue, with a positive sum of its coordinates; where they cancel,
 * the last of them are positive.
 *
 * @param {Float64Array} symmetric (3, 3).
 * @returns {number[]} of length 1.
 */
export function firstAxis(symmetric) {
  const matrix = Float64Array.from(symmetric);
  const axes = Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [p, q] of [[0, 1], [0, 2], [1, 2]]) rotate(matrix, axes, p, q);
  }
  const powers = [0, 1, 2].map((at) => matrix[4 * at]);
  const column = powers.indexOf(Math.max(...powers));
  const axis = [0, 1, 2].map((row) => axes[3 * row + column]);
  const sum = axis[0] + axis[1] + axis[2];
  const side = Math.abs(sum) > NO_SUM ? sum : axis[0] + 2 * axis[1] + 4 * axis[2];
  return side < 0 ? axis.map((part) => -part) : axis;
}

/**
 * Turn the axes p and q so that the matrix has no element between them (Jacobi, 1846).
 *
 * @param {Float64Array} matrix (3, 3), changed in place.
 * @param {Float64Array} axes (3, 3), whose columns turn with it.
 * @param {number} p
 * @param {number} q
 */
function rotate(matrix, axes, p, q) {
  if (matrix[3 * p + q] === 0) return;
  const half = (matrix[4 * q] - matrix[4 * p]) / (2 * matrix[3 * p + q]);
  const tangent = (half < 0 ? -1 : 1) / (Math.abs(half) + Math.hypot(half, 1));
  const cosine = 1 / Math.hypot(tangent, 1);
  const sine = tangent * cosine;
  /** @type {(values: Float64Array, one: number, other: number) => void} */
  const turn = (values, one, other) => {
    const [before, after] = [values[one], values[other]];
    values[one] = cosine * before - sine * after;
    values[other] = sine * before + cosine * after;
  };
  for (let at = 0; at < 3; at++) turn(matrix, 3 * at + p, 3 * at + q);
  for (let at = 0; at < 3; at++) turn(matrix, 3 * p + at, 3 * q + at);
  for (let at = 0; at < 3; at++) turn(axes, 3 * at + p, 3 * at + q);
}
