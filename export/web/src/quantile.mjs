/**
 * The value below which a share of all values lies, between the two nearest as NumPy's `quantile`.
 *
 * @param {ArrayLike<number>} values at least one.
 * @param {number} share 0 to 1.
 */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const [low, high] = [sorted[below], sorted[Math.min(below + 1, sorted.length - 1)]];
  const part = place - below;
  return part < 0.5 ? low + (high - low) * part : high - (high - low) * (1 - part);
}
