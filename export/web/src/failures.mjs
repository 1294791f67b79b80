/** What goes wrong, told in words for people. */

/**
 * `input`: the picture cannot be taken. `memory`: smaller tiles may help. `engine`: WebGPU or
 * WebAssembly failed. `files`: the page's own files are missing or damaged.
 *
 * @typedef {"input" | "memory" | "engine" | "files"} Kind
 */

export class Failure extends Error {
  /**
   * @param {Kind} kind
   * @param {string} message what was expected, what was got, what to do.
   */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

/** What engines say when memory runs out: Emscripten, the allocator, V8, WebGPU. */
const MEMORY =
  /out of memory|bad_alloc|allocat|memory access out of bounds|OOM|invalid array length/i;

/**
 * Name the kind of whatever was thrown.
 *
 * @param {unknown} thrown
 * @returns {Failure}
 */
export function failure(thrown) {
  if (thrown instanceof Failure) return thrown;
  // Emscripten throws the address of a C++ exception as a number; std::bad_alloc is the only one
  // that ONNX Runtime does not turn into a message.
  if (typeof thrown === "number") return new Failure("memory", "memory ran out");
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new Failure(MEMORY.test(text) ? "memory" : "engine", text);
}
