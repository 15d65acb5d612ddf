// Arithmetic on whole frames that the display needs.

/** Return a frame on a matrix `scale` times smaller: sums of the pixels that become one, or their mean. */
export function rebin({ pixels, rows, columns }, scale, sum) {
  if (scale === 1) return pixels;
  const width = columns / scale;
  const found = new Float32Array((rows / scale) * width);
  const factor = sum ? 1 : 1 / scale ** 2;
  for (let row = 0; row < rows; row += 1) {
    const to = Math.floor(row / scale) * width;
    for (let column = 0; column < columns; column += 1) {
      found[to + Math.floor(column / scale)] += pixels[row * columns + column] * factor;
    }
  }
  return found;
}

const SOFT_TISSUE_HU = { lower: -160, upper: 240 };
const BRIGHTEST = 0.998;
const LOOKED_AT = 200_000;

/**
 * Return the range that a window may have for all frames, and where it begins: from 0 to nearly the brightest; soft tissue
 * for CT.
 * @param {Float32Array[]} frames
 * @param {string} units
 */
export function windowOf(frames, units) {
  let [low, high] = [0, -Infinity];
  for (const pixels of frames) {
    for (const value of pixels) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  high = high > low ? high : low + 1;
  if (units === "HU" && low < SOFT_TISSUE_HU.lower && high > SOFT_TISSUE_HU.upper) return { low, high, ...SOFT_TISSUE_HU };
  const step = Math.ceil((frames.length * frames[0].length) / LOOKED_AT);
  const looked = frames.flatMap((pixels) => Array.from({ length: Math.ceil(pixels.length / step) }, (_, i) => pixels[i * step]));
  const sorted = Float32Array.from(looked).sort();
  const upper = sorted[Math.floor(BRIGHTEST * (sorted.length - 1))];
  return { low, high, lower: Math.max(low, 0), upper: upper > 0 ? upper : high };
}

/** Return the values along a row or column. */
export function lineOf({ pixels, columns, rows }, along, line) {
  if (along === "row") return pixels.slice(line * columns, (line + 1) * columns);
  return Float32Array.from({ length: rows }, (_, row) => pixels[row * columns + line]);
}
