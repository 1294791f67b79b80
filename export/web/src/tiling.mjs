/**
 * Tiles of a picture: where they read, where they count, how their results are joined. The geometry
 * is that of `dcls_cli/tiling.py`.
 */

/** Pixels that neighbours share: the outer quarters are context, the inner half is faded over. */
export const OVERLAP = 32;
const FEATHER = OVERLAP / 2;

/** Smaller tiles would be mostly overlap. */
export const SMALLEST_TILE = 2 * OVERLAP;

/**
 * One axis of a tile, in pixels of the source: it reads `start` to `stop`, its weight grows from 0 to
 * 1 over `rise` and falls over `fall`.
 *
 * @typedef {{start: number, stop: number, rise: [number, number], fall: [number, number]}} Span
 * @typedef {{rows: Span, columns: Span}} Tile
 */

/**
 * Cover a picture with tiles of one size, row by row.
 *
 * @param {number} height
 * @param {number} width
 * @param {number} tile width and height of a tile.
 * @returns {Tile[]}
 */
export function plan(height, width, tile) {
  const columns = spans(width, tile, OVERLAP, FEATHER);
  return spans(height, tile, OVERLAP, FEATHER).flatMap((row) =>
    columns.map((column) => ({ rows: row, columns: column })),
  );
}

/**
 * Cover one axis.
 *
 * @param {number} length
 * @param {number} tile
 * @param {number} overlap
 * @param {number} feather
 * @returns {Span[]}
 */
export function spans(length, tile, overlap, feather) {
  if (length <= tile) return [{ start: 0, stop: length, rise: [0, 0], fall: [length, length] }];
  const count = Math.ceil((length - overlap) / (tile - overlap));
  const starts = Array.from({ length: count }, (_, index) =>
    Math.floor(((length - tile) * index) / (count - 1)),
  );
  const stride = Math.min(...starts.slice(1).map((after, index) => after - starts[index]));
  const faded = Math.min(feather, stride);
  /** @type {[number, number][]} */
  const fades = starts.slice(1).map((after, index) => {
    const low = Math.floor((after + starts[index] + tile - faded) / 2);
    return [low, low + faded];
  });
  return starts.map((start, index) => ({
    start,
    stop: start + tile,
    rise: fades[index - 1] ?? [0, 0],
    fall: fades[index] ?? [length, length],
  }));
}

/**
 * Weight of each up-scaled pixel between `rise` and `fall`.
 *
 * @param {Span} span
 * @param {number} scale
 */
function weights({ rise, fall }, scale) {
  const ramp = (/** @type {number} */ at, /** @type {[number, number]} */ [low, high]) =>
    high > low ? Math.min(1, Math.max(0, (at - low) / (high - low))) : Number(at >= low);
  return Float32Array.from({ length: (fall[1] - rise[0]) * scale }, (_, index) => {
    const centre = rise[0] + (index + 0.5) / scale;
    return ramp(centre, rise) * (1 - ramp(centre, fall));
  });
}

/** Joins tiles in the order of their plan; only what fades into the next ones is kept as floats. */
export class Stitcher {
  /**
   * @param {number} width of the source.
   * @param {number} scale
   * @param {number} channels
   */
  constructor(width, scale, channels) {
    this.width = width * scale;
    this.scale = scale;
    this.channels = channels;
    this.beside = new Float32Array(0);
    this.below = new Float32Array(0);
    this.done = new Uint8ClampedArray(0);
  }

  /**
   * @param {Tile} tile
   * @param {Float32Array} patch its result in [0, 1]: (channels, rows, columns) of what it reads.
   * @returns {Uint8ClampedArray | null} after the last tile of a row, the samples, (rows, width,
   *     channels), that no further tile changes.
   */
  add({ rows, columns }, patch) {
    const { scale, width, channels } = this;
    const [across, down] = [weights(columns, scale), weights(rows, scale)];
    const [patchWidth, patchHeight] = [columns, rows].map((span) => (span.stop - span.start) * scale);
    const [left, top] = [columns, rows].map((span) => (span.rise[0] - span.start) * scale);
    const [wide, high] = [columns, rows].map((span) => (span.fall[0] - span.rise[0]) * scale);
    const [riseX, riseY] = [columns, rows].map((span) => (span.rise[1] - span.rise[0]) * scale);
    const fallX = across.length - wide;
    const first = columns.rise[0] * scale;
    if (first === 0) this.startRow(high, down.length - high);
    const beside = new Float32Array(down.length * fallX * channels);
    for (let y = 0; y < down.length; y++) {
      for (let x = 0; x < across.length; x++) {
        const source = (top + y) * patchWidth + left + x;
        const target = (y * width + first + x) * channels;
        for (let channel = 0; channel < channels; channel++) {
          let value = patch[channel * patchWidth * patchHeight + source] * across[x];
          if (x < riseX) value += this.beside[(y * riseX + x) * channels + channel];
          if (x >= wide) {
            beside[(y * fallX + x - wide) * channels + channel] = value;
            continue;
          }
          value *= down[y];
          if (y < riseY) value += this.below[target + channel];
          if (y < high) this.done[target + channel] = value * 255;
          else this.below[target + channel - high * width * channels] = value;
        }
      }
    }
    this.beside = beside;
    return fallX === 0 ? this.done : null;
  }

  /**
   * @param {number} high rows that become final.
   * @param {number} fade rows that the next row of tiles adds to.
   */
  startRow(high, fade) {
    this.done = new Uint8ClampedArray(high * this.width * this.channels);
    // All fades of a plan have one height: a row below reads its values before it writes new ones.
    const size = fade * this.width * this.channels;
    if (size > this.below.length) this.below = new Float32Array(size);
  }
}
