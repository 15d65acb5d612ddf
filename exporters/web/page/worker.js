// Runs the graph beside the page, so that the page stays at hand: WebAssembly, or WebGPU where the browser has one.

import { judge } from "./domain.js";
import { readNpy } from "./npy.js";
import { admit, finish, peakOf, stage } from "./process.js";
import { Refusal } from "./refusal.js";

const MOST_THREADS = 8;
let settings;
let ort;
let session;

const local = (path) => new URL(path, import.meta.url).href;

async function bytesOf(path) {
  const answer = await fetch(local(path));
  if (!answer.ok) throw new Refusal(`${path} is missing on the server (${answer.status}); copy the whole folder again.`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Load the runtime and the graph, and compare it with the golden frames. */
async function start({ given, backend, precision, emulation }) {
  settings = given;
  const gpu = backend === "webgpu" ? await gpuOf() : { name: "" };
  if (gpu.emulated && !emulation) throw new Refusal("it is emulated here, slower than WebAssembly");
  ort = await import(backend === "webgpu" ? "./vendor/ort.webgpu.js" : "./vendor/ort.wasm.js");
  const name = backend === "webgpu" ? "ort-wasm-simd-threaded.asyncify" : "ort-wasm-simd-threaded";
  const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
  Object.assign(ort.env.wasm, { numThreads: threads, wasmPaths: { mjs: local(`vendor/${name}.js`), wasm: local(`vendor/${name}.wasm`) } });
  ort.env.logLevel = "error";
  const graph = await bytesOf(settings.graphs[precision].file);
  session = await ort.InferenceSession.create(graph, { executionProviders: [backend] });
  const words = backend === "webgpu" ? `WebGPU (${gpu.name})` : `WebAssembly SIMD, ${threads} thread${threads > 1 ? "s" : ""}`;
  return { backend, precision, threads, words, ...(await check()) };
}

/** Return the name of the GPU, and whether it is a program that stands for one. */
async function gpuOf() {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Refusal("this browser offers no GPU");
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info ?? {};
  const name = description || [vendor, architecture].filter(Boolean).join(" ") || "unnamed GPU";
  return { name, emulated: Boolean(isFallbackAdapter ?? adapter.isFallbackAdapter) || /swiftshader|llvmpipe/i.test(name) };
}

async function run(data, rows, columns) {
  const input = new ort.Tensor("float32", data, [1, 1, rows, columns]);
  const found = (await session.run({ [settings.input.name]: input }))[settings.output.name];
  const [wide, high] = [settings.output.scale * columns, settings.output.scale * rows];
  if (found.dims.join() !== [1, 1, high, wide].join()) throw new Refusal(`The model gave ${found.dims.join(" × ")} for ${rows} × ${columns}.`);
  return { data: await found.getData(), rows: high, columns: wide };
}

/** Return the largest difference from the golden output, relative to its peak. */
async function check() {
  const [input, output] = await Promise.all(
    ["input", "output"].map(async (name) => readNpy(await bytesOf(`model/golden-${name}.npy`))),
  );
  const [n, rows, columns] = input.shape;
  const part = ({ data }, frame) => data.subarray((frame * data.length) / n, ((frame + 1) * data.length) / n);
  let [difference, peak] = [0, 0];
  for (let frame = 0; frame < n; frame += 1) {
    const exact = part(output, frame);
    const found = (await run(part(input, frame).slice(), rows, columns)).data;
    for (let i = 0; i < exact.length; i += 1) {
      difference = Math.max(difference, Math.abs(found[i] - exact[i])); // NaN stays
      peak = Math.max(peak, Math.abs(exact[i]));
    }
  }
  return { deviation: difference / peak };
}

/** Process one frame. */
async function process({ pixels, rows, columns }) {
  const { input, output } = settings;
  const times = [performance.now()];
  const lap = () => times.push(performance.now());
  const admitted = admit(pixels, input.units);
  const before = output.conserve === "sum" ? admitted.sum : admitted.sum / pixels.length;
  const peak = input.scaling === "robust" ? peakOf(admitted.pixels) : 1;
  const staged = stage(admitted.pixels, { rows, columns }, input.multiple, peak);
  lap();
  const raw = await run(staged.data, staged.rows, staged.columns);
  lap();
  const size = { rows: rows * output.scale, columns: columns * output.scale };
  const finished = finish(raw, size, { before, peak, keep: output.conserve });
  lap();
  const verdict = judge(pixels, { rows, columns }, settings);
  lap();
  const [stageMs, inferMs, finishMs, domainMs] = times.slice(1).map((time, i) => time - times[i]);
  return { ...finished, ...size, before, lowest: admitted.lowest, verdict, timings: { stageMs, inferMs, finishMs, domainMs } };
}

const JOBS = { start, process };

self.addEventListener("message", async ({ data: { id, job, ...given } }) => {
  try {
    const found = await JOBS[job](given);
    self.postMessage({ id, found }, found.pixels ? [found.pixels.buffer] : []);
  } catch (error) {
    self.postMessage({ id, problem: String(error?.message ?? error), refused: error instanceof Refusal });
  }
});
