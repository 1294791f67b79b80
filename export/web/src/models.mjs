/** The networks that the build puts beside the page; `dcls export-onnx` makes their graphs. */

/** File formats that lose something, by which `auto` chooses the network for photographs. */
const LOSSY = ["JPEG", "WebP", "AVIF", "HEIF"];

export const MODELS = [
  { name: "dcls-light-x4", label: "Clean picture" },
  { name: "dcls-photo-x4", label: "Photo: noise, JPEG" },
];

/**
 * Choose a network by what the file is: the first part of the rule of `dcls upscale -m auto`, which
 * looks for noise and for traces of an earlier JPEG as well.
 *
 * @param {string} form of the file, such as JPEG or PNG.
 * @returns {{model: string, reason: string}}
 */
export function choose(form) {
  return LOSSY.includes(form)
    ? { model: "dcls-photo-x4", reason: `${form} compresses with loss` }
    : { model: "dcls-light-x4", reason: `${form} files may be clean; noise is not looked for` };
}
