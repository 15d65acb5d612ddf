// What the page tells about an image, its result and how it ran.

import { UNITS, percent, scientific, short, time, total } from "./numbers.js";

const $ = (id) => document.getElementById(id);
const VERDICTS = {
  inside: ["good", "Like the training images"],
  border: ["fair", "At the border of the training images"],
  outside: ["poor", "Unlike the training images"],
  empty: ["fair", "An empty frame: nothing to judge"],
};

function made(name, text, className = "") {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = className;
  return element;
}

function list(id, pairs) {
  $(id).replaceChildren(...pairs.flatMap(([term, words]) => [made("dt", term), made("dd", words)]));
}

/** Tell about the file. */
export function tellImage(image, settings) {
  $("name").textContent = image.name;
  const { scale } = settings.output;
  const size = (factor) => `${image.rows * factor} × ${image.columns * factor}`;
  const spacing = (factor) => image.spacing.map((step) => short(step / factor)).join(" × ");
  const units = UNITS[image.units] || `not said; taken as ${UNITS[settings.input.units]}`;
  list("image-facts", [
    ["file", image.format],
    ["modality", image.modality],
    ["values", units],
    ["matrix", scale > 1 ? `${size(1)} → ${size(scale)}` : size(1)],
    ["pixel", image.spacing ? `${spacing(1)}${scale > 1 ? ` → ${spacing(scale)}` : ""} mm` : "size not said"],
    ["frames", String(image.frames.length)],
  ]);
}

/** Tell about one frame's result, or clear what was told of another. */
export function tellResult(result, warnings, settings, runs) {
  const [kind, words] = result ? VERDICTS[result.verdict.verdict] : ["", "Processing …"];
  const chip = made("span", words, `chip ${kind}`);
  $("verdict").replaceChildren(chip);
  const far = result && result.verdict.verdict !== "empty";
  if (far) $("verdict").append(made("small", `distance ${short(result.verdict.distance)}; border from ${short(result.verdict.limits[0])}, outside from ${short(result.verdict.limits[1])}`));
  const told = [...(result?.verdict.reasons.map((reason) => `${reason[0].toUpperCase()}${reason.slice(1)}.`) ?? []), ...warnings];
  $("warnings").replaceChildren(...told.map((sentence) => made("li", sentence)));
  $("warnings").hidden = !told.length;
  tellKept(result, settings);
  tellRun(result, runs);
}

function tellKept(result, { input, output }) {
  const sum = output.conserve === "sum";
  const units = UNITS[input.units];
  $("kept-title").textContent = sum ? "Total counts" : `Mean${units ? ` [${units}]` : ""}`;
  const number = sum ? total : short;
  const change = (value) => (result.before === 0 ? "" : percent(value / result.before - 1));
  const rows = result
    ? [
        ["before", number(result.before), ""],
        ...(output.conserve === "none" ? [] : [["bare model", number(result.model), change(result.model)]]),
        ["after", number(result.after), change(result.after)],
      ]
    : [];
  $("kept").replaceChildren(
    ...rows.map(([name, ...cells]) => {
      const row = document.createElement("tr");
      row.append(made("th", name), ...cells.map((text) => made("td", text, "n")));
      return row;
    }),
  );
}

function tellRun(result, { info, done, all }) {
  const timings = result?.timings;
  list("run-facts", [
    ["backend", info ? info.words : "starting"],
    ["precision", info ? info.precision : ""],
    ["model", timings ? time(timings.inferMs) : "…"],
    ["around it", timings ? time(timings.stageMs + timings.finishMs) : "…"],
    ["domain", timings ? time(timings.domainMs) : "…"],
    ["processed", `${done} of ${all} frame${all > 1 ? "s" : ""}`],
  ]);
}

/** Tell which backend runs and how well it agrees with the reference. */
export function tellBackend(info, passedOver, { loss_db: lossDb }) {
  $("backend").textContent = info.words;
  $("backend").title = passedOver && `Passed over: ${passedOver}.`;
  const loss = info.precision === "fp32" ? "" : `, ${info.precision} loses ${lossDb.toFixed(2)} dB`;
  $("agreement").hidden = false;
  $("agreement").textContent = `checked: within ${scientific(info.deviation, 0)} of the reference${loss}`;
  $("agreement").title =
    "The golden frames of the model were run in this browser; this is the largest difference from what float32 gave, " +
    "relative to the peak." + (loss && " The loss was measured at the export, at the level of counts that loses most.");
}
