/**
 * A PNG that is written row by row. A canvas would premultiply the alpha channel, may not be as large
 * as the result, and would have to hold all of it.
 */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

/** Number of the only filter in use, the best one for photos. */
const PAETH = 4;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

export class PngWriter {
  /**
   * @param {number} width
   * @param {number} height
   * @param {3 | 4} channels RGB or RGB and alpha, 8 bits each.
   */
  constructor(width, height, channels) {
    this.channels = channels;
    this.stride = width * channels;
    /** @type {Uint8ClampedArray} */
    this.above = new Uint8ClampedArray(this.stride);
    const header = new DataView(new ArrayBuffer(13));
    header.setUint32(0, width);
    header.setUint32(4, height);
    header.setUint8(8, 8);
    header.setUint8(9, channels === 4 ? 6 : 2);
    /** @type {BlobPart[]} */
    this.parts = [
      new Uint8Array(SIGNATURE),
      ...chunk("IHDR", new Uint8Array(header.buffer)),
      ...chunk("sRGB", new Uint8Array(1)),
    ];
    const stream = new CompressionStream("deflate");
    this.writer = stream.writable.getWriter();
    this.compressed = this.collect(stream.readable.getReader());
  }

  /**
   * Append whole rows.
   *
   * @param {Uint8ClampedArray} samples (rows, width, channels).
   */
  async write(samples) {
    const { stride, channels } = this;
    const filtered = new Uint8Array((samples.length / stride) * (stride + 1));
    for (let row = 0, out = 0; row < samples.length; row += stride) {
      const line = samples.subarray(row, row + stride);
      filtered[out++] = PAETH;
      for (let at = 0; at < stride; at++) {
        const left = at < channels ? 0 : line[at - channels];
        const corner = at < channels ? 0 : this.above[at - channels];
        filtered[out++] = line[at] - paeth(left, this.above[at], corner);
      }
      this.above = line;
    }
    await this.writer.write(filtered);
  }

  /** @returns {Promise<Blob>} the file, after the last row. */
  async close() {
    await this.writer.close();
    await this.compressed;
    this.parts.push(...chunk("IEND", new Uint8Array(0)));
    return new Blob(this.parts, { type: "image/png" });
  }

  /** @param {ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>} reader */
  async collect(reader) {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.parts.push(...chunk("IDAT", value));
    }
  }
}

/**
 * The neighbour that is nearest to left + above - corner.
 *
 * @param {number} left
 * @param {number} above
 * @param {number} corner
 */
function paeth(left, above, corner) {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/**
 * @param {string} name
 * @param {Uint8Array<ArrayBuffer>} content
 * @returns {Uint8Array<ArrayBuffer>[]}
 */
function chunk(name, content) {
  const head = new DataView(new ArrayBuffer(8));
  head.setUint32(0, content.length);
  [...name].forEach((letter, index) => head.setUint8(4 + index, letter.charCodeAt(0)));
  const start = new Uint8Array(head.buffer);
  const end = new DataView(new ArrayBuffer(4));
  end.setUint32(0, crc(content, crc(start.subarray(4), 0xffffffff)) ^ 0xffffffff);
  return [start, content, new Uint8Array(end.buffer)];
}

/**
 * @param {Uint8Array} bytes
 * @param {number} value so far.
 */
function crc(bytes, value) {
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return value;
}
