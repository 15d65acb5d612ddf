// The page's end of the worker.

import { Refusal } from "./refusal.js";

/** A graph on one backend. */
export class Runner {
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #next = 0;

  constructor() {
    this.#worker.addEventListener("message", ({ data }) => this.#answer(data));
    this.#worker.addEventListener("error", (event) => this.#fail(event.message || "the worker did not load"));
  }

  /** Load and check a graph; returns what runs and how well it agrees. A GPU that is emulated must be allowed. */
  async start(settings, backend, precision, emulation) {
    this.info = await this.#ask("start", { given: settings, backend, precision, emulation });
    return this.info;
  }

  /** Process one frame of {pixels, rows, columns}. */
  process(pixels, { rows, columns }) {
    return this.#ask("process", { pixels, rows, columns });
  }

  stop() {
    this.#worker.terminate();
    this.#fail("stopped");
  }

  #ask(job, given) {
    return new Promise((resolve, reject) => {
      this.#next += 1;
      this.#waiting.set(this.#next, { resolve, reject });
      this.#worker.postMessage({ id: this.#next, job, ...given });
    });
  }

  #answer({ id, found, problem, refused }) {
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (problem === undefined) resolve(found);
    else reject(refused ? new Refusal(problem) : new Error(problem));
  }

  #fail(reason) {
    for (const { reject } of this.#waiting.values()) reject(new Error(reason));
    this.#waiting.clear();
  }
}

/**
 * Return a runner on the backend asked for, or with "auto" on WebGPU where that is as exact as it must be, else WebAssembly.
 * @returns {Promise<{runner: Runner, passedOver: string}>} `passedOver` says why WebGPU was not taken
 */
export async function startRunner(settings, wanted, precision) {
  const choices = wanted === "auto" ? (settings.webgpu && navigator.gpu ? ["webgpu", "wasm"] : ["wasm"]) : [wanted];
  let passedOver = wanted === "auto" && !navigator.gpu ? "this browser offers no WebGPU" : "";
  for (const backend of choices) {
    const runner = new Runner();
    try {
      const { deviation } = await runner.start(settings, backend, precision, wanted !== "auto");
      if (deviation <= settings.graphs[precision].tolerance) return { runner, passedOver };
      throw new Refusal(`it differs from the reference by ${deviation.toExponential(1)} of the peak`);
    } catch (error) {
      runner.stop();
      if (backend === choices.at(-1)) throw error;
      passedOver = `WebGPU: ${error.message}`;
    }
  }
  throw new Refusal("Nothing runs here.");
}
