/**
 * Put the page, ONNX Runtime's files and the graphs of the networks into a folder.
 *
 * node build.mjs [--out FOLDER] [--models FOLDER]
 *
 * Without --models, `dcls export-onnx` makes the graphs; the environment variable DCLS names the
 * command if it is neither in the checkout's .venv nor in the PATH.
 */

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MODELS } from "./src/models.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "..", "..");
const RUNTIME = join(HERE, "node_modules", "onnxruntime-web");

/** WebAssembly alone is half as large and faster on CPUs than the build that knows WebGPU. */
const RUNTIME_FILES = [
  "ort.wasm.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort.webgpu.min.mjs",
  "ort-wasm-simd-threaded.asyncify.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
];

const NOTICE = "ONNX Runtime, Copyright (c) Microsoft Corporation, MIT License.\n";

/** @param {string} folder */
function exportModels(folder) {
  const own = join(ROOT, ".venv", "bin", "dcls");
  const command = process.env.DCLS ?? (existsSync(own) ? own : "dcls");
  for (const { name } of MODELS) {
    const output = join(folder, `${name}.onnx`);
    const options = ["-m", name, "--split", "--fft", "matmul", "--overwrite", "-o", output];
    execFileSync(command, ["export-onnx", ...options], { stdio: "inherit" });
  }
}

const { values } = parseArgs({ options: { out: { type: "string" }, models: { type: "string" } } });
const out = values.out ?? join(HERE, "dist");
if (!existsSync(RUNTIME)) {
  console.error(`${RUNTIME} is missing: run \`npm ci\` in ${HERE} first`);
  process.exit(1);
}
for (const folder of ["ort", "models"]) mkdirSync(join(out, folder), { recursive: true });
cpSync(join(HERE, "src"), out, { recursive: true });
for (const name of RUNTIME_FILES) cpSync(join(RUNTIME, "dist", name), join(out, "ort", name));
writeFileSync(join(out, "ort", "NOTICE.txt"), NOTICE);
cpSync(join(ROOT, "examples", "dog.png"), join(out, "example.png"));
cpSync(join(HERE, "space.md"), join(out, "README.md"));
cpSync(join(ROOT, "dcls_cli", "models", "auto.json"), join(out, "choice.json"));
if (values.models) {
  for (const { name } of MODELS) {
    for (const half of ["estimator", "restorer"]) {
      const file = `${name}-${half}.onnx`;
      cpSync(join(values.models, file), join(out, "models", file));
    }
  }
} else exportModels(join(out, "models"));
console.log(out);
