/** Pictures as the browser decodes them: upright, in sRGB, 8 bits a channel. */

import { compressionOf } from "./compression.mjs";
import { Failure } from "./failures.mjs";
import { fillHidden } from "./transparency.mjs";

/** The network's borders need this many pixels. */
const SMALLEST_SIDE = 8;

/** What all browsers take as a canvas and as a texture. */
const LARGEST_SIDE = 8192;
const LARGEST_AREA = 16_000_000;

/**
 * Samples are not premultiplied: the colours of transparent pixels are kept.
 *
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {Uint8ClampedArray} samples (height, width, 4): RGB and alpha.
 * @property {boolean} transparent whether any alpha is below 255.
 * @property {ImageBitmap} bitmap to be drawn.
 */

/** Beginnings of files; `?` stands for any letter. */
const FORMS = [
  ["PNG", "\x89PNG\r\n\x1a\n"],
  ["JPEG", "\xff\xd8\xff"],
  ["WebP", "RIFF????WEBP"],
  ["GIF", "GIF8"],
  ["BMP", "BM"],
  ["AVIF", "????ftypavif"],
  ["HEIF", "????ftyp"],
];

/**
 * Format of a file by its content.
 *
 * @param {Blob} file
 * @returns {Promise<string | null>}
 */
async function formOf(file) {
  const head = new Uint8Array(await file.slice(0, 16).arrayBuffer());
  const matches = (/** @type {string} */ pattern) =>
    [...pattern].every((letter, at) => letter === "?" || head[at] === letter.charCodeAt(0));
  return FORMS.find(([, pattern]) => matches(pattern))?.[0] ?? null;
}

/**
 * Decode a file.
 *
 * @param {Blob} file
 * @returns {Promise<Picture & {form: string} & import("./compression.mjs").Compression>}
 */
export async function decode(file) {
  const form = await formOf(file);
  if (form === null) {
    const found = file.size === 0 ? "an empty file" : "something else";
    throw new Failure("input", `Expected a PNG, JPEG, WebP, AVIF, GIF or BMP picture, got ${found}.`);
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "default",
    });
  } catch {
    throw new Failure(
      "input",
      `The ${form} file cannot be decoded: it is damaged, or this browser does not know the format.`,
    );
  }
  checkSize(bitmap);
  return { form, ...(await compressionOf(form, file)), bitmap, ...read(bitmap) };
}

/** @param {ImageBitmap} bitmap */
function checkSize({ width, height }) {
  if (Math.min(width, height) < SMALLEST_SIDE) {
    const least = `${SMALLEST_SIDE} × ${SMALLEST_SIDE}`;
    throw new Failure("input", `${width} × ${height} pixels: at least ${least} are needed.`);
  }
  if (Math.max(width, height) > LARGEST_SIDE || width * height > LARGEST_AREA) {
    const millions = ((width * height) / 1e6).toFixed(1);
    throw new Failure(
      "input",
      `${width} × ${height} pixels (${millions} million) are too many for a browser: at most ` +
        `${LARGEST_AREA / 1e6} million, and ${LARGEST_SIDE} a side. Crop the picture, or use ` +
        "`dcls upscale`, which has no such limit.",
    );
  }
}

/** @param {ImageBitmap} bitmap */
function read(bitmap) {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", {
    colorSpace: "srgb",
    willReadFrequently: true,
  });
  if (!context) throw new Failure("memory", `a canvas of ${width} × ${height} pixels`);
  context.drawImage(bitmap, 0, 0);
  const samples = context.getImageData(0, 0, width, height, { colorSpace: "srgb" }).data;
  if (isOpaque(samples)) return { width, height, transparent: false, samples };
  const exact = readTexture(bitmap);
  fillHidden(exact, width);
  return { width, height, transparent: true, samples: exact };
}

/** @param {Uint8ClampedArray} samples */
function isOpaque(samples) {
  for (let at = 3; at < samples.length; at += 4) if (samples[at] < 255) return false;
  return true;
}

/**
 * A 2D canvas premultiplies, which rounds the colours of transparent pixels; a texture does not.
 *
 * @param {ImageBitmap} bitmap
 */
function readTexture(bitmap) {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!gl) {
    throw new Failure(
      "input",
      "The picture is transparent, and this browser gives exact colours of transparent pixels only " +
        "with WebGL 2, which is off. Turn it on, or remove the transparency.",
    );
  }
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  const [target, attachment] = [gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0];
  gl.framebufferTexture2D(target, attachment, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
  const samples = new Uint8ClampedArray(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(samples.buffer));
  if (gl.getError() !== gl.NO_ERROR) {
    throw new Failure("memory", `a texture of ${width} × ${height} pixels`);
  }
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return samples;
}

/**
 * What of a picture goes through a network: its colours, or the alpha channel as a grey picture.
 *
 * @typedef {"colour" | "alpha"} Plane
 * @typedef {{start: number, stop: number}} Part pixels of an axis.
 */

/** Which samples of a pixel stand for R, G and B. @type {Record<Plane, [number, number, number]>} */
export const CHANNELS = { colour: [0, 1, 2], alpha: [3, 3, 3] };

/**
 * A part of the picture as a network takes it.
 *
 * @param {Picture} picture
 * @param {{rows: Part, columns: Part}} part such as a tile.
 * @param {Plane} what
 * @returns {Float32Array} (3, rows, columns) in [0, 1].
 */
export function cut({ samples, width }, { rows, columns }, what) {
  const [high, wide] = [rows.stop - rows.start, columns.stop - columns.start];
  const planes = new Float32Array(3 * high * wide);
  for (const [plane, channel] of CHANNELS[what].entries()) {
    for (let y = 0, at = plane * high * wide; y < high; y++) {
      const first = ((rows.start + y) * width + columns.start) * 4 + channel;
      for (let x = 0; x < wide; x++, at++) planes[at] = samples[first + 4 * x] / 255;
    }
  }
  return planes;
}
