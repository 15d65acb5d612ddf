// NumPy's .npy files, version 1 to 3.

import { Refusal } from "./refusal.js";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const TYPES = {
  "<f4": Float32Array,
  "<f8": Float64Array,
  "|u1": Uint8Array,
  "|i1": Int8Array,
  "<u2": Uint16Array,
  "<i2": Int16Array,
  "<u4": Uint32Array,
  "<i4": Int32Array,
};

/** Return whether bytes begin as an .npy file does. */
export function isNpy(bytes) {
  return MAGIC.every((value, i) => bytes[i] === value);
}

/**
 * Return the array of an .npy file.
 * @param {Uint8Array} bytes the file
 * @returns {{shape: number[], data: Float32Array}} in C order
 */
export function readNpy(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isNpy(bytes) || bytes.length < 12) throw new Refusal("This is not an .npy file.");
  const long = bytes[6] > 1;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, end));
  const type = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1].split(",").filter((part) => part.trim()).map(Number);
  if (!type || !shape || shape.some((size) => !(size > 0))) throw new Refusal("The header of this .npy file is damaged.");
  if (/'fortran_order':\s*True/.test(header)) throw new Refusal("This array is in Fortran order; save it with numpy.ascontiguousarray.");
  const Type = TYPES[type];
  if (!Type) throw new Refusal(`Values of the type ${type} cannot be read; save the array as float32.`);
  const length = shape.reduce((product, size) => product * size, 1);
  if (bytes.length - end !== length * Type.BYTES_PER_ELEMENT) throw new Refusal("This .npy file is cut off or too long; save it again.");
  return { shape, data: Float32Array.from(new Type(bytes.slice(end).buffer)) };
}

/**
 * Return an .npy file with float32 values.
 * @param {number[]} shape
 * @param {Float32Array[]} parts the values, in C order
 * @returns {Blob}
 */
export function writeNpy(shape, parts) {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${tuple}), }`;
  const padded = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const head = new Uint8Array(10 + padded.length);
  head.set([...MAGIC, 1, 0, padded.length & 255, padded.length >> 8]);
  head.set(new TextEncoder().encode(padded), 10);
  return new Blob([head, ...parts], { type: "application/octet-stream" });
}
