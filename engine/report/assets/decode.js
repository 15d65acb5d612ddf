"use strict";

/** Return the bytes of a base64 text that holds a zlib stream. */
async function inflate(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const planes = new Map();

/** Return {rows, columns, values} of an embedded image; decoded once. */
function plane(id) {
  if (!planes.has(id)) planes.set(id, decodePlane(document.getElementById(id)));
  return planes.get(id);
}

async function decodePlane(element) {
  const { rows, columns, slope, intercept } = element.dataset;
  const bytes = await inflate(element.textContent);
  const size = rows * columns;
  const values = new Float32Array(size);
  let stored = 0;
  for (let i = 0; i < size; i++) {
    const folded = bytes[i] | (bytes[size + i] << 8);
    stored = (stored + ((folded >>> 1) ^ -(folded & 1))) & 0xffff;
    values[i] = stored * slope + Number(intercept);
  }
  return { rows: Number(rows), columns: Number(columns), values };
}

/** Return an image summed, or averaged, over blocks of scale x scale pixels. */
function rebin(image, scale, sums) {
  const rows = image.rows / scale;
  const columns = image.columns / scale;
  const values = new Float32Array(rows * columns);
  const weight = sums ? 1 : 1 / (scale * scale);
  for (let r = 0; r < image.rows; r++) {
    const target = Math.floor(r / scale) * columns;
    for (let c = 0; c < image.columns; c++) {
      values[target + Math.floor(c / scale)] += weight * image.values[r * image.columns + c];
    }
  }
  return { rows, columns, values };
}

/** Return 256 colours, packed for a canvas, that run evenly through hexadecimal anchors. */
function colourTable(anchors) {
  const rgb = anchors.map(parseColour);
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (rgb.length - 1);
    const k = Math.min(Math.floor(at), rgb.length - 2);
    const mix = [0, 1, 2].map((j) => Math.round(rgb[k][j] + (at - k) * (rgb[k + 1][j] - rgb[k][j])));
    table[i] = (255 << 24) | (mix[2] << 16) | (mix[1] << 8) | mix[0];
  }
  return table;
}

function parseColour(text) {
  if (text.startsWith("#")) return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  return text.match(/\d+/g).map(Number);
}

/** Return a canvas of the image's own size, coloured between two values. */
function coloured(image, lower, upper, table) {
  const canvas = document.createElement("canvas");
  canvas.width = image.columns;
  canvas.height = image.rows;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(image.columns, image.rows);
  const target = new Uint32Array(pixels.data.buffer);
  const gain = 255 / (upper - lower);
  for (let i = 0; i < target.length; i++) {
    const level = (image.values[i] - lower) * gain;
    target[i] = table[level <= 0 ? 0 : level >= 255 ? 255 : Math.round(level)];
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}
