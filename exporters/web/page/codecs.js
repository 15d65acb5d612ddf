// Compressed pixels of DICOM: lossless JPEG, JPEG 2000 and RLE. OpenJPEG is loaded when a file first needs it.

import { decodeJpegLossless } from "./jpeg-lossless.js";
import { Refusal } from "./refusal.js";

const JPEG_LOSSLESS = ["1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"];
const JPEG_2000 = ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"];
const RLE = ["1.2.840.10008.1.2.5"];

const DECODERS = new Map([
  ...JPEG_LOSSLESS.map((syntax) => [syntax, jpegLossless]),
  ...JPEG_2000.map((syntax) => [syntax, jpeg2000]),
  ...RLE.map((syntax) => [syntax, runLengths]),
]);

/** Transfer syntaxes that can be decoded. */
export const ENCAPSULATED = [...DECODERS.keys()];

/**
 * Return the samples of each frame, bytes in little-endian order.
 * @param {object} ds from dicom-parser
 * @param {{syntax: string, frames: number, rows: number, columns: number, allocated: number}} layout
 * @returns {Promise<Uint8Array[]>} one or more bytes for each sample
 */
export async function decoded(ds, layout) {
  const found = [];
  for (const frame of framesOf(ds, layout.frames)) {
    let samples;
    try {
      samples = await DECODERS.get(layout.syntax)(frame, layout);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      throw new Refusal(`Frame ${found.length + 1} cannot be decoded, the file is damaged; export it again.`);
    }
    const wide = samples.length / (layout.rows * layout.columns);
    if (![1, 2, 4].includes(wide) || 8 * wide > layout.allocated) throw new Refusal(`Frame ${found.length + 1} has another size than the header says; export the file again.`);
    found.push(samples);
  }
  return found;
}

/** Return the compressed frames, as many as the header says (PS3.5 annex A.4). */
function framesOf(ds, frames) {
  const { dicomParser } = globalThis;
  const pixels = ds.elements.x7fe00010;
  const { fragments, basicOffsetTable } = pixels;
  if (!fragments?.length || fragments.length < frames) throw new Refusal(`Pixel Data holds ${fragments?.length ?? 0} fragments for ${frames} frame(s); the file is damaged.`);
  try {
    if (frames === 1) return [dicomParser.readEncapsulatedPixelDataFromFragments(ds, pixels, 0, fragments.length)];
    if (fragments.length === frames) return fragments.map((_, i) => dicomParser.readEncapsulatedPixelDataFromFragments(ds, pixels, i, 1));
    if (basicOffsetTable.length !== frames) throw new Refusal(`The frames of this file are in ${fragments.length} pieces without a table of where they begin; export it again.`);
    return basicOffsetTable.map((_, i) => dicomParser.readEncapsulatedImageFrame(ds, pixels, i));
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal("The compressed frames of this file are damaged; export it again.");
  }
}

function jpegLossless(frame, { rows, columns, allocated }) {
  const samples = decodeJpegLossless(frame, rows, columns);
  return allocated === 8 ? Uint8Array.from(samples) : new Uint8Array(samples.buffer);
}

let openJpeg;

async function jpeg2000(frame, { rows, columns }) {
  checkJpeg2000(frame, rows, columns);
  openJpeg ??= loaded("vendor/openjpeg.js").then(() =>
    globalThis.OpenJPEGWASM({
      locateFile: () => new URL("vendor/openjpeg.wasm", import.meta.url).href,
      print: () => {}, // it tells about each header that it reads
      printErr: () => {},
    }),
  );
  const decoder = new (await openJpeg).J2KDecoder();
  try {
    decoder.getEncodedBuffer(frame.length).set(frame);
    decoder.decode();
    return decoder.getDecodedBuffer().slice();
  } finally {
    decoder.delete();
  }
}

/** Compare the SIZ segment with the matrix, before anything is decoded (ISO/IEC 15444-1 A.5.1). */
function checkJpeg2000(frame, rows, columns) {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let at = 0;
  while (at + 42 <= frame.length && view.getUint32(at) !== 0xff4fff51) at += 1; // after the boxes of a JP2 file
  const size = at + 42 <= frame.length ? [8, 12, 16, 20].map((place) => view.getUint32(at + place)) : [0, 0, 0, 0];
  if (size[0] - size[2] !== columns || size[1] - size[3] !== rows || view.getUint16(at + 40) !== 1) {
    throw new Refusal("A compressed frame has another size than the header says, or no header; export the file again.");
  }
}

/** Load a script that is no module. */
function loaded(path) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL(path, import.meta.url).href;
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Refusal(`${path} is missing on the server; copy the whole folder again.`)));
    document.head.append(script);
  });
}

/** Decode PackBits, one segment for each byte of a sample, the highest first (PS3.5 annex G). */
function runLengths(frame, { rows, columns, allocated }) {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const [wide, size] = [allocated / 8, rows * columns];
  if (view.getUint32(0, true) !== wide) throw new Refusal("A compressed frame has another size than the header says; export the file again.");
  const found = new Uint8Array(size * wide);
  for (let segment = 0; segment < wide; segment += 1) {
    let from = view.getUint32(4 + 4 * segment, true);
    const byte = wide - 1 - segment;
    for (let to = 0; to < size; ) {
      const count = view.getInt8(from);
      from += 1;
      if (count === -128) continue;
      const run = Math.min(Math.abs(count) + 1, size - to);
      for (let i = 0; i < run; i += 1) found[(to + i) * wide + byte] = view.getUint8(count < 0 ? from : from + i);
      from += count < 0 ? 1 : run;
      to += run;
    }
  }
  return found;
}
