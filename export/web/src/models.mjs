/** The networks that the build puts beside the page; `dcls export-onnx` makes their graphs. */

export const MODELS = [
  { name: "dcls-light-x4", label: "Clean picture" },
  { name: "dcls-photo-x4", label: "Photo: noise, JPEG" },
];
