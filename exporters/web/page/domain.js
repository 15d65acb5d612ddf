// Whether a frame looks like what the model was trained on; the twin of engine/domain.py and engine/domain_features.py.

import { peakOf } from "./process.js";
import { anscombe, statistics } from "./statistics.js";
import { textureFeatures } from "./texture.js";

const AIR_HU = -1000; // Hounsfield units count from water; from air they are proportional to attenuation
const COUNTS_OF_BRIGHTEST = 60; // concentrations have no counting noise of their own
const FARTHEST = 99;
const UNUSUAL = 4;
const ACTIVE = 2; // the feature "active fraction"
const VERDICTS = ["inside", "border", "outside"];

/** Return a frame as counts, or as what stands for them. */
function asCounts(pixels, { units, scaling }) {
  const shifted = units === "HU" ? pixels.map((value) => Math.max(Math.fround(value - AIR_HU), 0)) : pixels;
  if (scaling !== "robust") return shifted;
  const inverse = Math.fround(1 / peakOf(shifted));
  return shifted.map((value) => Math.max(Math.fround(value * inverse), 0) * COUNTS_OF_BRIGHTEST);
}

/**
 * Return the 18 features of a frame, in the order of the manifest.
 * @param {Float32Array} pixels as they came, finite
 * @param {{rows: number, columns: number}} size
 * @param {{units: string, scaling: string}} input of the model
 */
export function features(pixels, size, input) {
  const counts = asCounts(pixels, input);
  const transformed = anscombe(counts);
  const found = statistics(counts, size, transformed.z);
  const mean = Math.max(found.sum, 0) / counts.length + 1e-3;
  return [
    Math.log10(mean),
    Math.log10((Math.max(found.maximum, 0) + 1e-3) / mean),
    found.nonzero / counts.length,
    Math.log10(found.variance + 0.01),
    Math.log10(found.difference1 / 2 + 0.01),
    Math.log10((found.difference2 + 0.01) / (found.difference1 + 0.01)),
    found.nonInteger,
    ...textureFeatures(transformed, size),
  ].map((value) => (Number.isFinite(value) ? value : Math.sign(value) * FARTHEST || FARTHEST));
}

/**
 * Return how far a frame lies from the training domain, in words too.
 * @param {object} settings of the page: input and domain
 * @returns {{verdict: string, distance: number, limits: number[], reasons: string[], features: number[]}}
 */
export function judge(pixels, size, { input, domain }) {
  const row = features(pixels, size, input);
  if (row[ACTIVE] === 0) return { verdict: "empty", distance: 0, limits: domain.limits, reasons: [], features: row };
  const near = domain.modes.map((mode) => ({ mode, distance: distanceTo(row, mode, domain.precision) }));
  const { mode, distance } = near.reduce((best, one) => (one.distance < best.distance ? one : best));
  const verdict = VERDICTS[domain.limits.filter((limit) => !(distance <= limit)).length];
  const reasons = verdict === "inside" ? [] : reasonsFor(row, mode, domain);
  return { verdict, distance, limits: domain.limits, reasons, features: row };
}

/** Return precision (row - mode). */
function weighted(row, mode, precision) {
  return precision.map((line) => line.reduce((sum, value, i) => sum + value * (row[i] - mode[i]), 0));
}

function distanceTo(row, mode, precision) {
  return Math.sqrt(Math.abs(weighted(row, mode, precision).reduce((sum, value, i) => sum + value * (row[i] - mode[i]), 0)));
}

/** Return sentences on the features that are most unusual given all others. */
function reasonsFor(row, mode, { precision, words }) {
  const unusual = weighted(row, mode, precision).map((value, i) => ({ i, size: Math.abs(value) / Math.sqrt(precision[i][i]) }));
  unusual.sort((a, b) => b.size - a.size);
  const least = Math.min(UNUSUAL, unusual[0].size);
  return unusual
    .slice(0, 2)
    .filter(({ size }) => size >= least)
    .map(({ i }) => sentence(words[i], row[i], mode[i]));
}

function sentence([words, logarithm], value, usual) {
  const [found, typical] = (logarithm ? [10 ** value, 10 ** usual] : [value, usual]).map((number) => String(Number(number.toPrecision(2))));
  return `${words} is ${found}, ${value > usual ? "more" : "less"} than the model was trained on (typically ${typical})`;
}
