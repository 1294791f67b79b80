/** The metadata of an ONNX file, read without a parser of protocol buffers. */

import { Failure } from "./failures.mjs";

/** Numbers of fields in ONNX's `ModelProto` and `StringStringEntryProto`. */
const METADATA_PROPS = 14;
const KEY = 1;
const VALUE = 2;

/**
 * What the page needs to know of a network; names as in the `ModelConfig` of dcls.
 *
 * @typedef {{scale: number, kernel_space: "hr" | "lr", estimator_blocks: number}} Config
 */

/**
 * @param {Uint8Array} file
 * @param {string} name of the file, for messages.
 * @returns {{config: Config, kind: string, weights: string}}
 */
export function describe(file, name) {
  const entries = new Map();
  try {
    for (const [field, content] of fields(file)) {
      if (field !== METADATA_PROPS) continue;
      const entry = new Map(fields(content));
      entries.set(text(entry.get(KEY)), text(entry.get(VALUE)));
    }
    const config = JSON.parse(entries.get("dcls_config"));
    return { config, kind: entries.get("dcls_graph"), weights: entries.get("dcls_weights_sha256") };
  } catch (error) {
    throw new Failure("files", `${name} is not a graph of dcls or is cut off: build the page anew`);
  }
}

/** @param {Uint8Array | undefined} content */
const text = (content) => new TextDecoder().decode(content);

/**
 * Fields of a message that have a length, which are the only ones of interest.
 *
 * @param {Uint8Array} message
 * @returns {Generator<[number, Uint8Array]>}
 */
function* fields(message) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      if (at >= message.length) throw new RangeError("cut off");
      const byte = message[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const type = tag % 8;
    if (type === 0) varint();
    else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else if (type === 2) {
      const length = varint();
      if (at + length > message.length) throw new RangeError("cut off");
      yield [Math.floor(tag / 8), message.subarray(at, at + length)];
      at += length;
    } else throw new RangeError(`wire type ${type}`);
  }
}
