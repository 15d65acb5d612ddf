// Colour tables, and frames as pictures.

const ANCHORS = {
  inverted: ["#ffffff", "#000000"],
  grey: ["#000000", "#ffffff"],
  hot: ["#000000", "#7a0000", "#e63200", "#ffa800", "#fff5b0", "#ffffff"],
  viridis: ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"],
};
const DIVERGING = ["#053061", "#4393c3", "#f7f7f7", "#d6604d", "#67001f"];

/** Names of the colour tables with words for them. */
export const MAPS = { inverted: "grey, dark is high", grey: "grey, bright is high", hot: "hot body", viridis: "viridis" };

/** Return a gradient for a style sheet. */
export const gradient = (name) => `linear-gradient(to right, ${(ANCHORS[name] ?? DIVERGING).join(", ")})`;

const tables = new Map();

/** Return 256 colours as RGBA words, little endian. */
function table(name) {
  if (!tables.has(name)) tables.set(name, interpolated(ANCHORS[name] ?? DIVERGING));
  return tables.get(name);
}

function interpolated(anchors) {
  const parts = anchors.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return Uint32Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (parts.length - 1);
    const below = Math.min(Math.floor(place), parts.length - 2);
    const [red, green, blue] = parts[below].map((value, k) => Math.round(value + (parts[below + 1][k] - value) * (place - below)));
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}

/**
 * Draw a frame into a canvas of its own size.
 * @param {HTMLCanvasElement} canvas
 * @param {{pixels: Float32Array, rows: number, columns: number}} frame
 * @param {number} lower value of the first colour
 * @param {number} upper value of the last colour
 * @param {string} map "diverging" or one of MAPS
 */
export function draw(canvas, frame, lower, upper, map) {
  const colours = table(map);
  const words = new Uint32Array(frame.pixels.length);
  const factor = 255 / (upper - lower || 1);
  for (let i = 0; i < words.length; i += 1) {
    words[i] = colours[Math.min(255, Math.max(0, Math.round((frame.pixels[i] - lower) * factor)))];
  }
  canvas.width = frame.columns;
  canvas.height = frame.rows;
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(words.buffer), frame.columns, frame.rows), 0, 0);
}
