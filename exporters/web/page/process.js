// What happens to a frame before and after the graph, as the engine does it: engine/session.py, postprocess.py, tiling.py.

import { Refusal } from "./refusal.js";

const PEAK_QUANTILE = 0.995;

/**
 * Check a frame and return what is processed of it.
 * @param {Float32Array} pixels
 * @param {string} units of the model's input
 * @returns {{pixels: Float32Array, sum: number, lowest: number}} counts below zero are 0, `lowest` is what they were
 */
export function admit(pixels, units) {
  let lowest = Infinity;
  for (const value of pixels) {
    if (!Number.isFinite(value)) throw new Refusal("The frame holds NaN or infinite values; mend them first.");
    if (value < lowest) lowest = value;
  }
  const kept = units === "CNTS" && lowest < 0 ? pixels.map((value) => Math.max(value, 0)) : pixels;
  return { pixels: kept, sum: sumOf(kept), lowest };
}

export function sumOf(pixels) {
  let sum = 0;
  for (const value of pixels) sum += value;
  return sum;
}

/** Return the 99.5th percentile, interpolated between the two nearest values, or 1 where that is not positive. */
export function peakOf(pixels) {
  const sorted = pixels.slice().sort();
  const position = PEAK_QUANTILE * (sorted.length - 1);
  const below = Math.floor(position);
  const [low, high] = [sorted[below], sorted[Math.min(below + 1, sorted.length - 1)]];
  const peak = Math.fround(low + (high - low) * (position - below));
  return peak > 0 ? peak : 1;
}

/** Return the index inside 0..n-1 of position i >= 0 under reflection about the first and the last pixel. */
function reflected(i, n) {
  if (n === 1) return 0;
  const phase = i % (2 * (n - 1));
  return phase < n ? phase : 2 * (n - 1) - phase;
}

/**
 * Return a frame divided by its peak, continued below and to the right as its mirror image up to whole multiples.
 * @returns {{data: Float32Array, rows: number, columns: number}}
 */
export function stage(pixels, { rows, columns }, multiple, peak) {
  const padded = (size) => Math.ceil(size / multiple) * multiple;
  const [height, width] = [padded(rows), padded(columns)];
  const data = new Float32Array(height * width);
  const inverse = Math.fround(1 / peak);
  for (let row = 0; row < height; row += 1) {
    const from = reflected(row, rows) * columns;
    for (let column = 0; column < width; column += 1) data[row * width + column] = pixels[from + reflected(column, columns)] * inverse;
  }
  return { data, rows: height, columns: width };
}

/**
 * Return the frame that a graph's output makes, with the sum (or mean) of the source.
 * @param {{data: Float32Array, columns: number}} output of the padded frame, `columns` wide
 * @param {{rows: number, columns: number}} size of the frame
 * @param {{before: number, peak: number, keep: string}} finishing `before`: the sum or mean of the source
 * @returns {{pixels: Float32Array, model: number, after: number}} sums, or means, as the graph left them and as they are
 */
export function finish(output, size, { before, peak, keep }) {
  const n = size.rows * size.columns;
  const pixels = new Float32Array(n);
  let [all, positive] = [0, 0];
  for (let row = 0; row < size.rows; row += 1) {
    for (let column = 0; column < size.columns; column += 1) {
      const value = output.data[row * output.columns + column];
      pixels[row * size.columns + column] = value;
      all += value;
      if (value > 0) positive += value;
    }
  }
  const factor = Math.fround(factorOf({ all, positive, n }, { before, peak, keep }));
  if (!Number.isFinite(all) || !Number.isFinite(factor)) throw new Refusal("The model gave NaN, infinite or no positive values at all.");
  let after = 0;
  for (let i = 0; i < n; i += 1) {
    pixels[i] = (keep === "sum" && pixels[i] < 0 ? 0 : pixels[i]) * factor;
    after += pixels[i];
  }
  const per = keep === "sum" ? 1 : n;
  return { pixels, model: (all * peak) / per, after: after / per };
}

function factorOf({ all, positive, n }, { before, peak, keep }) {
  if (keep === "sum") return before === 0 ? 0 : before / positive;
  if (keep === "mean" && all > 0 && before > 0) return (before * n) / all;
  return peak;
}
