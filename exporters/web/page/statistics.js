// One-pass statistics of a frame of counts; those of engine/native/frame_operations.hpp that the training domain needs.

/** Write z = 2 sqrt(max(x, 0) + 3/8), in which Poisson noise has variance 1 (Anscombe 1948). */
export function anscombe(pixels) {
  const kept = new Float32Array(pixels.length);
  const z = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i += 1) {
    const radicand = Math.fround(Math.max(pixels[i], 0) + 0.375);
    kept[i] = radicand - 0.375;
    z[i] = 2 * Math.fround(Math.sqrt(radicand));
  }
  return { kept, z };
}

/**
 * Return counts, range and texture of a frame.
 * @param {Float32Array} pixels finite
 * @param {{rows: number, columns: number}} size
 * @param {Float32Array} z from anscombe()
 * @returns {{sum: number, maximum: number, nonzero: number, nonInteger: number, variance: number,
 *   difference1: number, difference2: number}} differences: mean squares of z between pixels 1 or 2 apart
 */
export function statistics(pixels, size, z) {
  let [sum, maximum, nonzero, fractions, first, second] = [0, -Infinity, 0, 0, 0, 0];
  for (let i = 0; i < pixels.length; i += 1) {
    const value = pixels[i];
    sum += value;
    if (value > maximum) maximum = value;
    if (value !== 0) nonzero += 1;
    if (!Number.isInteger(value)) fractions += 1;
    first += z[i];
    second += z[i] * z[i];
  }
  const n = pixels.length;
  return {
    sum,
    maximum,
    nonzero,
    nonInteger: fractions / n,
    variance: Math.max(0, second / n - (first / n) ** 2),
    difference1: meanSquare(z, size, 1),
    difference2: meanSquare(z, size, 2),
  };
}

function meanSquare(z, { rows, columns }, lag) {
  let [sum, pairs] = [0, 0];
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const at = row * columns + column;
      if (column >= lag) sum += (z[at] - z[at - lag]) ** 2;
      if (row >= lag) sum += (z[at] - z[at - lag * columns]) ** 2;
      pairs += (column >= lag) + (row >= lag);
    }
  }
  return pairs ? sum / pairs : 0;
}
