// The page: opens an image, has its frames processed one after the other, and shows and saves what comes of them.

import { tellBackend, tellImage, tellResult } from "./facts.js";
import { UNITS, short } from "./numbers.js";
import { framesOf, openFiles } from "./open-file.js";
import { readNpy, writeNpy } from "./npy.js";
import { Refusal } from "./refusal.js";
import { startRunner } from "./runner.js";
import { Viewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);

/** Everything that changes. `image` has frames; `results` has by frame what the model made of them. */
export const state = { settings: null, image: null, frame: 0, results: new Map(), runner: null, warnings: [] };

let viewer;

/** Show a sentence about what went wrong, or hide the last one. */
function say(error) {
  $("problem").hidden = !error;
  if (!error) return;
  $("problem").textContent = error instanceof Refusal ? error.message : `This did not work: ${error.message ?? error}`;
  if (!(error instanceof Refusal)) console.error(error);
}

/** Refuse an image that the model is not for; return warnings about the rest. */
function admitted(image, { name, modalities, input }) {
  const known = [...modalities, "OT"].includes(image.modality);
  const nameless = image.units === "NONE" && known;
  if (image.units !== input.units && !nameless) {
    throw new Refusal(`${image.name}: ${image.modality} values in ${UNITS[image.units] || "unknown units"}; ${name} takes ${UNITS[input.units]}.`);
  }
  const warnings = [...image.notes];
  if (nameless && !image.sample) warnings.push(`The file does not say its units; values were taken as ${UNITS[input.units]}.`);
  if (!known) warnings.push(`The image is ${image.modality}; ${name} was trained on ${modalities.join(", ")}.`);
  return warnings;
}

function open(image) {
  const warnings = admitted(image, state.settings);
  const frame = image.frames.length > 2 ? image.frames.length >> 1 : 0; // the first slice of a stack is often empty
  Object.assign(state, { image, warnings, frame, results: new Map() });
  say(null);
  $("drop").hidden = true;
  $("result").hidden = false;
  $("frame-row").hidden = image.frames.length === 1;
  $("frame").max = image.frames.length - 1;
  $("frame").value = frame;
  tellImage(image, state.settings);
  show(true);
  $("stage").focus({ preventScroll: true });
  work();
}

async function openChosen(files) {
  if (!files.length) return;
  try {
    open(await openFiles(files));
  } catch (error) {
    say(error);
  }
}

async function openSample() {
  try {
    const answer = await fetch("model/golden-input.npy");
    if (!answer.ok) throw new Refusal("The sample is missing on the server; copy the whole folder again.");
    const { input, modalities } = state.settings;
    const image = framesOf(readNpy(new Uint8Array(await answer.arrayBuffer())));
    const units = input.scaling === "robust" ? "NONE" : input.units;
    open({ ...image, name: "sample", format: "a frame held out from training", modality: modalities[0], units, sample: true });
  } catch (error) {
    say(error);
  }
}

/** Show the frame at hand; `fresh` after another image was opened. */
function show(fresh = false) {
  const { image, frame, results, settings } = state;
  const result = results.get(frame);
  const { scale, conserve } = settings.output;
  const before = { pixels: image.frames[frame], rows: image.rows, columns: image.columns };
  const units = image.units === "NONE" && !image.sample ? settings.input.units : image.units;
  viewer.show(before, result ?? null, { scale, ratio: conserve === "sum" ? scale ** 2 : 1, units, spacing: image.spacing, frames: image.frames, fresh });
  $("frame-label").textContent = `Frame ${frame + 1} of ${image.frames.length}`;
  tell();
}

/** Tell about the frame at hand, and how many are processed. */
function tell() {
  const { image, frame, results, settings, runner, warnings } = state;
  const result = results.get(frame);
  const negative = result?.lowest < 0 && settings.input.units === "CNTS";
  const told = negative ? [...warnings, `Negative counts (down to ${short(result.lowest)}) were taken as 0.`] : warnings;
  tellResult(result, told, settings, { info: runner?.info, done: results.size, all: image.frames.length });
  $("busy").hidden = Boolean(result);
  $("busy").textContent = runner ? "Processing …" : "Loading the model …";
  for (const id of ["save-npy", "save-png"]) $(id).disabled = !result;
  const whole = results.size === image.frames.length;
  $("save-note").textContent = image.frames.length === 1 || whole ? "" : "Until all frames are processed, the frame shown is saved.";
}

/** Process frame after frame, the one that is shown first, until all are done or another image or backend is there. */
async function work() {
  const { image, results, runner } = state;
  const current = () => state.image === image && state.results === results && state.runner === runner;
  try {
    while (runner && image && current() && results.size < image.frames.length) {
      const next = results.has(state.frame) ? image.frames.findIndex((_, i) => !results.has(i)) : state.frame;
      const result = await runner.process(image.frames[next], image);
      if (!current()) return;
      results.set(next, result);
      if (next === state.frame || results.size === image.frames.length) show();
      else tell();
    }
  } catch (error) {
    if (!current()) return;
    $("busy").hidden = true;
    say(error instanceof Refusal ? new Refusal(`${image.name}: ${error.message}`) : error);
  }
}

/** Start the backend and precision that are chosen. */
async function start() {
  state.runner?.stop();
  Object.assign(state, { runner: null, results: new Map() });
  delete document.documentElement.dataset.ready;
  $("backend").textContent = "Loading the model …";
  if (state.image) show();
  try {
    const { runner, passedOver } = await startRunner(state.settings, $("backend-choice").value, $("precision-choice").value);
    state.runner = runner;
    tellBackend(runner.info, passedOver, state.settings.graphs[runner.info.precision]);
    say(null);
    document.documentElement.dataset.ready = runner.info.backend;
    if (state.image) show();
    work();
  } catch (error) {
    $("backend").textContent = "No model";
    $("agreement").hidden = true;
    say(error);
  }
}

function save(blob, ending) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  const stem = state.image.name.replace(/\.[^.]*$/, "").replace(/[^\w.-]+/g, "_") || "image";
  link.download = `${stem}_${state.settings.name}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function saveValues() {
  const { image, results, frame } = state;
  const whole = results.size === image.frames.length && image.frames.length > 1;
  const found = whole ? image.frames.map((_, i) => results.get(i)) : [results.get(frame)];
  const size = [found[0].rows, found[0].columns];
  save(writeNpy(whole ? [found.length, ...size] : size, found.map(({ pixels }) => pixels)), "npy");
}

function listen() {
  $("file").addEventListener("change", async () => {
    await openChosen([...$("file").files]);
    $("file").value = "";
  });
  $("another").addEventListener("click", () => $("file").click());
  $("sample").addEventListener("click", openSample);
  $("save-npy").addEventListener("click", saveValues);
  $("save-png").addEventListener("click", () => viewer.canvas.toBlob((blob) => save(blob, "png")));
  $("frame").addEventListener("input", () => {
    state.frame = Number($("frame").value);
    show();
  });
  for (const id of ["backend-choice", "precision-choice"]) $(id).addEventListener("input", start);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("drags");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("drags");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("drags");
    openChosen([...event.dataTransfer.files]);
  });
}

/** Fill in what the page says of the model. */
function introduce({ title, name, version, modalities, input, output, versions, webgpu, graphs }) {
  document.title = `${title} – Photopeak`;
  $("title").textContent = title;
  $("identity").textContent = `${name} ${version}`;
  const more = output.scale > 1 ? ` and gives ${output.scale} × as many rows and columns` : "";
  $("wants").textContent = `This model takes ${modalities.join(" or ")} images in ${UNITS[input.units]}${more}.`;
  $("versions").textContent = Object.entries(versions).map(([package_, number]) => `${package_} ${number}`).join(", ");
  const backends = { auto: "the best there is", wasm: "WebAssembly", ...(webgpu && navigator.gpu ? { webgpu: "WebGPU" } : {}) };
  for (const [value, words] of Object.entries(backends)) $("backend-choice").add(new Option(words, value));
  for (const precision of Object.keys(graphs)) $("precision-choice").add(new Option(precision, precision));
  $("backend-row").hidden = Object.keys(backends).length < 3;
  $("precision-row").hidden = Object.keys(graphs).length < 2;
}

async function main() {
  $("not-started").hidden = true;
  try {
    const answer = await fetch("model/settings.json");
    if (!answer.ok) throw new Refusal("model/settings.json is missing on the server; copy the whole folder again.");
    state.settings = await answer.json();
    introduce(state.settings);
    viewer = new Viewer();
    listen();
    openChosen([...$("file").files]); // chosen before this script ran
    await start();
  } catch (error) {
    say(error);
  }
}

main();
