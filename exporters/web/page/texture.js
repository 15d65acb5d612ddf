// What the noise and the detail of a frame look like, octave by octave; the twin of engine/native/texture.cpp.

const OCTAVES = 4;
const SHARES = 2;
const BLOCK = 16;
const FEWEST_COUNTS = 32; // in a block that says something
const POISSON_CURVATURE = 36; // the sum of the squares of the weights of both second differences
const DISPERSION_AT = [0.1, 0.5, 0.9];
const LEAST_ENERGY = 1e-5; // below this there is nothing but the rounding of stored values
const LEAST_DIFFERENCE = 1e-3;
const LOWEST_FREQUENCY = 0.15; // of the profiles, in cycles per pixel; slower is the object
const SHORTEST_PROFILE = 16;

/**
 * Return dispersion (3), periodicity (2), details (4) and diagonal shares (2), each as a logarithm to base 10.
 * @param {{kept: Float32Array, z: Float32Array}} frame from anscombe()
 * @param {{rows: number, columns: number}} size
 */
export function textureFeatures({ kept, z }, size) {
  const periodic = profiles(z, size).map(periodicity).sort((a, b) => b - a);
  const levels = dispersion(kept, size).map((value) => Math.log10(value + LEAST_ENERGY));
  return [...levels, ...periodic, ...details(z, size)];
}

/** Return mean squares of the Haar coefficients octave by octave, each relative to the finer one, and diagonal shares. */
function details(z, size) {
  const detail = [];
  const shares = [];
  let image = { values: z, ...size };
  for (let octave = 0; octave < OCTAVES; octave += 1) {
    const found = haar(image);
    const blocks = Math.max(found.blocks, 1);
    detail.push(found.detail / (2 * blocks) + LEAST_ENERGY);
    shares.push((found.diagonal / blocks + LEAST_ENERGY) / detail[octave]);
    image = found.mean;
  }
  const slopes = detail.map((value, i) => (i ? value / detail[i - 1] : value));
  return [...slopes, ...shares.slice(0, SHARES)].map(Math.log10);
}

function haar({ values, rows, columns }) {
  const [height, width] = [rows >> 1, columns >> 1];
  const mean = new Float32Array(height * width);
  let [detail, diagonal] = [0, 0];
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const at = 2 * row * columns + 2 * column;
      const [a, b, c, d] = [values[at], values[at + 1], values[at + columns], values[at + columns + 1]];
      mean[row * width + column] = 0.5 * (a + b + (c + d));
      detail += (0.5 * (a - b + (c - d))) ** 2 + (0.5 * (a + b - (c + d))) ** 2;
      diagonal += (0.5 * (a - b - (c - d))) ** 2;
    }
  }
  return { detail, diagonal, blocks: height * width, mean: { values: mean, rows: height, columns: width } };
}

/** Return the variance over the mean in blocks of 16 x 16, at the quantiles; 1 for Poisson noise on what is smooth. */
function dispersion(kept, { rows, columns }) {
  const bent = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let i = row * columns + 1; i < (row + 1) * columns - 1; i += 1) bent[i] = kept[i - 1] - 2 * kept[i] + kept[i + 1];
  }
  const found = [];
  const all = { curvature: 0, level: 0 };
  for (let top = 1; top + BLOCK < rows; top += BLOCK) {
    for (let left = 1; left + BLOCK < columns; left += BLOCK) {
      const { curvature, level } = blockOf(kept, bent, columns, top * columns + left);
      all.curvature += curvature;
      all.level += level;
      if (level >= FEWEST_COUNTS) found.push(curvature / level / POISSON_CURVATURE);
    }
  }
  if (!found.length) found.push(all.level > 0 ? all.curvature / all.level / POISSON_CURVATURE : 1);
  found.sort((a, b) => a - b);
  return DISPERSION_AT.map((quantile) => found[Math.floor(quantile * found.length)]);
}

function blockOf(kept, bent, columns, corner) {
  let [curvature, level] = [0, 0];
  for (let row = 0; row < BLOCK; row += 1) {
    for (let column = 0; column < BLOCK; column += 1) {
      const at = corner + row * columns + column;
      curvature += (bent[at - columns] - 2 * bent[at] + bent[at + columns]) ** 2;
      level += kept[at];
    }
  }
  return { curvature, level };
}

/** Return for both axes the mean magnitudes of third and of fourth differences along it; interpolation makes them periodic. */
function profiles(z, { rows, columns }) {
  const along = (length, lines, step, next) =>
    [
      (at) => z[at + step] - z[at - 2 * step] + 3 * (z[at - step] - z[at]),
      (at) => z[at - 2 * step] + z[at + 2 * step] - 4 * (z[at - step] + z[at + step]) + 6 * z[at],
    ].map((difference) =>
      Float64Array.from({ length: Math.max(0, length - 4) }, (_, i) => {
        let sum = 0;
        for (let line = 0; line < lines; line += 1) sum += Math.abs(difference((i + 2) * step + line * next));
        return sum / lines;
      }),
    );
  return [along(columns, rows, 1, columns), along(rows, columns, columns, 1)];
}

/** Return log10 of the greatest over the mean of the spectra of the two profiles of an axis. */
function periodicity(both) {
  return Math.max(...both.map(peakOfSpectrum));
}

function peakOfSpectrum(profile) {
  const n = profile.length;
  if (n < SHORTEST_PROFILE) return 0;
  const heights = profile.map((value) => Math.log(value + LEAST_DIFFERENCE));
  const mean = heights.reduce((sum, value) => sum + value, 0) / n;
  const windowed = heights.map((value, i) => (value - mean) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (n - 1))));
  const spectrum = magnitudes(windowed).subarray(Math.floor(LOWEST_FREQUENCY * n)).map((value) => value + 1e-2);
  return Math.log10(Math.max(...spectrum) / (spectrum.reduce((sum, value) => sum + value, 0) / spectrum.length));
}

/** Return the magnitudes of a real signal's Fourier transform; it is short, and of any length. */
function magnitudes(signal) {
  const n = signal.length;
  const cosine = Float64Array.from({ length: n }, (_, i) => Math.cos((2 * Math.PI * i) / n));
  const sine = Float64Array.from({ length: n }, (_, i) => Math.sin((2 * Math.PI * i) / n));
  return Float64Array.from({ length: (n >> 1) + 1 }, (_, k) => {
    let [real, imaginary] = [0, 0];
    for (let i = 0; i < n; i += 1) {
      real += signal[i] * cosine[(k * i) % n];
      imaginary += signal[i] * sine[(k * i) % n];
    }
    return Math.hypot(real, imaginary);
  });
}
