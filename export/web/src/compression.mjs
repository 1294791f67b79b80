/**
 * How a file was compressed: whether anything was lost, and how much of a JPEG. As
 * `dcls_cli/image/compression.py`.
 */

/** Luminance table of Annex K of JPEG (ITU-T T.81), its sum: quality 50 of libjpeg. */
export const ANNEX_K_SUM = 3688;

/** Chunks of a WebP that are looked through for its pixels, at most. */
export const MOST_CHUNKS = 32;

/** Bytes of an AVIF in which its colours are described. */
export const HEAD_BYTES = 4096;

/** Formats whose files may have lost something. */
const MAYBE_LOSSY = ["JPEG", "WebP", "AVIF", "HEIF"];

/** Second bytes of JPEG's markers: the start of a scan, tables of quantisation, and those alone. */
const [SOS, DQT] = [0xda, 0xdb];
const ALONE = [0x01, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8];

/**
 * @typedef {object} Compression
 * @property {boolean} lossless whether the file has the very pixels that it was made from.
 * @property {number | null} quality of a JPEG, as libjpeg counts it, 1 to 100; null for other files.
 */

/**
 * @param {string} form of the file, such as JPEG or PNG.
 * @param {Blob} file
 * @returns {Promise<Compression>}
 */
export async function compressionOf(form, file) {
  if (!MAYBE_LOSSY.includes(form)) return { lossless: true, quality: null };
  const content = new Uint8Array(await file.arrayBuffer());
  const quality = form === "JPEG" ? jpegQuality(quantisation(content)) : null;
  return { lossless: isLossless(form, content), quality };
}

/**
 * Whether a file has the pixels that it was made from.
 *
 * @param {string} form one of `MAYBE_LOSSY`.
 * @param {Uint8Array} content
 */
function isLossless(form, content) {
  if (form === "WebP") return hasVp8l(content);
  if (form === "AVIF") return isIdentity(content.subarray(0, HEAD_BYTES));
  return false;
}

/**
 * Quality, 1 to 100, at which libjpeg would have written a file.
 *
 * @param {Map<number, number[]>} tables of quantisation; the first one is that of the brightness.
 * @returns {number | null} null without tables.
 */
function jpegQuality(tables) {
  const first = tables.get(Math.min(...tables.keys()));
  if (!first) return null;
  const percent = (100 * first.reduce((sum, step) => sum + step)) / ANNEX_K_SUM;
  const quality = percent <= 100 ? (200 - percent) / 2 : 5000 / percent;
  // Such an array rounds as Python does: halves to the even number.
  return Math.min(Math.max(Uint8ClampedArray.of(quality)[0], 1), 100);
}

/**
 * The tables of quantisation before the first scan of a JPEG, by number.
 *
 * @param {Uint8Array} content
 * @returns {Map<number, number[]>}
 */
function quantisation(content) {
  const tables = new Map();
  const number = (/** @type {number} */ at) => content[at] * 256 + content[at + 1];
  for (let at = 0; at + 3 < content.length && content[at + 1] !== SOS; ) {
    const marker = content[at + 1];
    if (content[at] !== 0xff || marker === 0 || marker === 0xff) at += 1;
    else if (ALONE.includes(marker)) at += 2;
    else {
      const end = at + 2 + number(at + 2);
      for (let from = at + 4; marker === DQT && from < end; ) {
        const bytes = content[from] < 16 ? 1 : 2;
        const steps = Array.from({ length: 64 }, (_, step) =>
          bytes === 1 ? content[from + 1 + step] : number(from + 1 + 2 * step),
        );
        tables.set(content[from] % 16, steps);
        from += 1 + 64 * bytes;
      }
      at = end;
    }
  }
  return tables;
}

/**
 * Whether the pixels of a WebP are in a VP8L chunk (lossless) and not in a VP8 one. Of an animation
 * the first frame counts, which is shown.
 *
 * @param {Uint8Array} content
 */
function hasVp8l(content) {
  const view = new DataView(content.buffer);
  for (let at = 12, count = 0; at + 8 <= content.length && count < MOST_CHUNKS; count++) {
    const [name, length] = [latin(content.subarray(at, at + 4)), view.getUint32(at + 4, true)];
    if (name === "VP8L" || name === "VP8 ") return name === "VP8L";
    // A frame begins with 16 bytes about itself, then has chunks of its own.
    at += 8 + (name === "ANMF" ? 16 : length + (length % 2));
  }
  return false;
}

/**
 * Whether an AVIF stores R, G and B as they are, as encoders do where nothing may be lost.
 *
 * @param {Uint8Array} head
 */
function isIdentity(head) {
  const at = latin(head).indexOf("colrnclx");
  return at >= 0 && head[at + 12] === 0 && head[at + 13] === 0;
}

/** @param {Uint8Array} bytes a letter each. */
const latin = (bytes) => String.fromCharCode(...bytes);
