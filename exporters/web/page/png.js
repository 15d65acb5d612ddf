// Greyscale PNG with 1 to 16 bits. Browsers decode PNG too, but to 8 bits.

import { Refusal, checkSize } from "./refusal.js";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const COLOURS = { 2: "a colour image", 3: "an image with a palette", 6: "a colour image" };

/** Return whether bytes begin as a PNG file does. */
export function isPng(bytes) {
  return SIGNATURE.every((value, i) => bytes[i] === value);
}

/**
 * Return the values of a greyscale PNG.
 * @param {Uint8Array} bytes the file
 * @returns {Promise<{rows: number, columns: number, bits: number, data: Float32Array}>} values as stored
 * @see PNG specification, third edition, sections 5, 7 and 9
 */
export async function readPng(bytes) {
  const header = headerOf(bytes);
  const packed = chunks(bytes).filter(({ type }) => type === "IDAT").map(({ data }) => data);
  if (!packed.length) throw new Refusal("This PNG file holds no pixels; save it again.");
  const lineBytes = Math.ceil((header.columns * header.samples * header.bits) / 8);
  const lines = await inflated(packed, header.rows * (lineBytes + 1));
  const step = Math.max(1, (header.samples * header.bits) / 8);
  unfilter(lines, header.rows, lineBytes, step);
  return { ...header, data: values(lines, lineBytes, header) };
}

function headerOf(bytes) {
  const [first] = chunks(bytes);
  if (first?.type !== "IHDR" || first.data.length !== 13) throw new Refusal("The header of this PNG file is damaged; save it again.");
  const view = new DataView(first.data.buffer, first.data.byteOffset, 13);
  const [columns, rows] = [view.getUint32(0), view.getUint32(4)];
  const [bits, colour, , , interlace] = first.data.subarray(8);
  if (COLOURS[colour]) throw new Refusal(`This PNG file is ${COLOURS[colour]}; save it in greyscale, 8 or 16 bits.`);
  if (![0, 4].includes(colour) || ![1, 2, 4, 8, 16].includes(bits) || (colour === 4 && bits < 8)) throw new Refusal("The header of this PNG file is damaged; save it again.");
  if (interlace) throw new Refusal("This PNG file is interlaced; save it without interlacing.");
  checkSize(1, rows, columns);
  return { rows, columns, bits, samples: colour === 4 ? 2 : 1 };
}

/** Return the chunks up to the end of the image, as far as they are whole. */
function chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) break;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    found.push({ type, data: bytes.subarray(at + 8, at + 8 + length) });
    if (type === "IEND") break;
    at += 12 + length;
  }
  return found;
}

/** Return the bytes of a zlib stream, which must be exactly so many. */
async function inflated(parts, wanted) {
  const out = new Uint8Array(wanted);
  const reader = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let at = 0;
  try {
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      if (at + value.length > wanted) throw new TypeError("too long");
      out.set(value, at);
      at += value.length;
    }
  } catch {
    at = -1;
    await reader.cancel().catch(() => {});
  }
  if (at !== wanted) throw new Refusal("The pixels of this PNG file are damaged; save it again.");
  return out;
}

/** Undo the filters of all lines, in place; each line begins with the number of its filter. */
function unfilter(lines, rows, lineBytes, step) {
  for (let row = 0; row < rows; row += 1) {
    const at = row * (lineBytes + 1);
    const kind = lines[at];
    if (kind > 4) throw new Refusal("The pixels of this PNG file are damaged; save it again.");
    for (let i = 1; kind && i <= lineBytes; i += 1) {
      const left = i > step ? lines[at + i - step] : 0;
      const above = row ? lines[at + i - lineBytes - 1] : 0;
      const corner = row && i > step ? lines[at + i - step - lineBytes - 1] : 0;
      lines[at + i] += [0, left, above, (left + above) >> 1, nearest(left, above, corner)][kind];
    }
  }
}

/** Return which neighbour is nearest to their gradient: the fourth filter (section 9.4). */
function nearest(left, above, corner) {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

function values(lines, lineBytes, { rows, columns, bits, samples }) {
  const data = new Float32Array(rows * columns);
  const mask = 2 ** bits - 1;
  for (let row = 0; row < rows; row += 1) {
    const at = row * (lineBytes + 1) + 1;
    for (let column = 0; column < columns; column += 1) {
      const bit = column * samples * bits;
      const byte = at + (bit >> 3);
      const value = bits === 16 ? (lines[byte] << 8) | lines[byte + 1] : (lines[byte] >> (8 - bits - (bit & 7))) & mask;
      data[row * columns + column] = value;
    }
  }
  return data;
}
