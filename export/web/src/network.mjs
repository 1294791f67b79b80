/** A network as two graphs that share one blur; the contract is in `export/README.md`. */

import { Failure } from "./failures.mjs";
import { describe } from "./metadata.mjs";
import { spans } from "./tiling.mjs";

/** @typedef {typeof import("onnxruntime-web")} Ort */
/** @typedef {import("onnxruntime-web").InferenceSession} Session */
/** @typedef {import("onnxruntime-web").Tensor} Tensor */
/** @typedef {Record<string, Tensor>} Blur */
/** @typedef {"webgpu" | "wasm"} Engine */

/** Width and height of the windows of the estimator. */
const WINDOW = 256;

/** More threads than this are no faster: a tile is small. */
const MOST_THREADS = 8;

/**
 * Whether this browser has WebGPU and a device for it.
 *
 * @returns {Promise<boolean>}
 */
export async function hasWebGpu() {
  const { gpu } = /** @type {any} */ (navigator);
  return Boolean(gpu && (await gpu.requestAdapter()));
}

/**
 * ONNX Runtime for an engine. WebAssembly has threads only where the page is isolated from others.
 *
 * @param {Engine} engine
 * @returns {Promise<Ort>}
 */
export async function runtime(engine) {
  const folder = new URL("./ort/", import.meta.url).href;
  /** @type {Ort} */
  const ort = await import(`${folder}ort.${engine}.min.mjs`).catch((error) => {
    throw new Failure("files", `The page's own files did not load: ${error.message}.`);
  });
  ort.env.wasm.wasmPaths = folder;
  ort.env.wasm.numThreads = self.crossOriginIsolated
    ? Math.min(navigator.hardwareConcurrency, MOST_THREADS)
    : 1;
  ort.env.logLevel = "error";
  return ort;
}

export class Network {
  /**
   * @param {Ort} ort
   * @param {Engine} engine
   * @param {string} name of a network.
   */
  static async load(ort, engine, name) {
    const [estimator, restorer] = await Promise.all(
      ["estimator", "restorer"].map((kind) => fetchGraph(`${name}-${kind}.onnx`, kind)),
    );
    if (estimator.weights !== restorer.weights) {
      throw new Failure("files", `The graphs of ${name} are of two networks: build the page anew.`);
    }
    const options = { executionProviders: [engine] };
    return new Network(
      ort,
      restorer.config,
      await ort.InferenceSession.create(estimator.file, options),
      await ort.InferenceSession.create(restorer.file, options),
    );
  }

  /**
   * @param {Ort} ort
   * @param {import("./metadata.mjs").Config} config
   * @param {Session} estimator
   * @param {Session} restorer
   */
  constructor(ort, config, estimator, restorer) {
    this.ort = ort;
    this.config = config;
    this.estimator = estimator;
    this.restorer = restorer;
  }

  /**
   * What is global of a picture, summed over its windows.
   *
   * @param {number} height
   * @param {number} width
   * @param {(window: import("./tiling.mjs").Tile) => Float32Array} cut
   * @returns {Promise<Blur>}
   */
  async estimate(height, width, cut) {
    const { Tensor } = this.ort;
    const halo = 3 + 2 * this.config.estimator_blocks;
    const columns = spans(width, WINDOW, 2 * halo, 0);
    /** @type {Blur} */
    let found = {};
    for (const row of spans(height, WINDOW, 2 * halo, 0)) {
      for (const column of columns) {
        const sides = [row.stop - row.start, column.stop - column.start];
        const before = found.pooled ?? this.noPools();
        found = await this.estimator.run({
          lr: new Tensor("float32", cut({ rows: row, columns: column }), [1, 3, ...sides]),
          rows: new Tensor("float32", shares(row, height), [sides[0]]),
          columns: new Tensor("float32", shares(column, width), [sides[1]]),
          before,
        });
      }
    }
    return found;
  }

  /** `pooled` before the first window. */
  noPools() {
    const input = this.estimator.inputMetadata.find((item) => item.name === "before");
    if (!input?.isTensor) throw new Failure("files", "The estimator has no input `before`.");
    const count = Number(input.shape[1]);
    return new this.ort.Tensor("float32", new Float32Array(count), [1, count]);
  }

  /**
   * @param {Float32Array} lr (3, height, width) in [0, 1].
   * @param {number} height
   * @param {number} width
   * @param {Blur} blur of the whole picture.
   * @returns {Promise<Float32Array>} (3, scale * height, scale * width), not clamped.
   */
  async restore(lr, height, width, blur) {
    const frozen = this.restorer.inputNames.filter((name) => name !== "lr");
    const { sr } = await this.restorer.run({
      lr: new this.ort.Tensor("float32", lr, [1, 3, height, width]),
      ...Object.fromEntries(frozen.map((name) => [name, blur[name]])),
    });
    const result = /** @type {Float32Array} */ (sr.data);
    sr.dispose();
    if (!result.every(Number.isFinite)) {
      throw new Failure("engine", "the network's result is not finite");
    }
    return result;
  }
}

/**
 * Weight of each pixel of an axis in the mean over the picture: none where it is only halo.
 *
 * @param {import("./tiling.mjs").Span} span
 * @param {number} length of the picture.
 */
function shares({ start, stop, rise, fall }, length) {
  return new Float32Array(stop - start).fill(1 / length, rise[0] - start, fall[0] - start);
}

/**
 * @param {string} name of a file.
 * @param {string} kind that it must be of.
 */
async function fetchGraph(name, kind) {
  const response = await fetch(new URL(`./models/${name}`, import.meta.url));
  if (!response.ok) {
    throw new Failure("files", `models/${name} is missing (${response.status}): build the page anew.`);
  }
  const file = new Uint8Array(await response.arrayBuffer());
  const described = describe(file, `models/${name}`);
  if (described.kind !== kind) {
    throw new Failure("files", `models/${name} is not the ${kind}: build the page anew.`);
  }
  return { file, ...described };
}
