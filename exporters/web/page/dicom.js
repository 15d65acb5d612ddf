// DICOM images: NM, PT, CT and others with one sample for each pixel. dicom-parser reads the elements.

import { ENCAPSULATED, decoded } from "./codecs.js";
import { placeOf } from "./dicom-series.js";
import { frameScaling, pixelSpacing, scaling } from "./dicom-units.js";
import { Refusal, checkSize } from "./refusal.js";

const EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2";
const NATIVE = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", EXPLICIT_BIG_ENDIAN];
const NOT_READ = {
  "1.2.840.10008.1.2.1.99": "deflated",
  "1.2.840.10008.1.2.4.50": "compressed as JPEG with losses",
  "1.2.840.10008.1.2.4.51": "compressed as JPEG with losses",
  "1.2.840.10008.1.2.4.80": "compressed as JPEG-LS",
  "1.2.840.10008.1.2.4.81": "compressed as JPEG-LS",
};

/** Return whether bytes begin as a DICOM file does (PS3.10 section 7.1). */
export function isDicom(bytes) {
  return [0x44, 0x49, 0x43, 0x4d].every((value, i) => bytes[128 + i] === value);
}

/**
 * Return the image of a DICOM file: stored values times slope plus intercept.
 * @param {Uint8Array} bytes the file
 * @returns {Promise<{modality: string, units: string, spacing: number[]|null, rows: number, columns: number,
 *   frames: Float32Array[], notes: string[], place: object}>}
 */
export async function readDicom(bytes) {
  const ds = parsed(bytes);
  const layout = layoutOf(ds);
  const described = describe(ds, layout.frames);
  const notes = [];
  if (text(ds, "x00282110") === "01") notes.push("The source went through lossy compression: noise and small structures are not the scanner’s.");
  return {
    modality: text(ds, "x00080060") || "OT",
    units: described[0].units,
    spacing: described[0].spacing,
    rows: layout.rows,
    columns: layout.columns,
    frames: physical(await samplesOf(bytes, ds, layout), layout, described),
    notes,
    place: placeOf(ds, text(ds, "x00080060") === "NM" || layout.frames > 1 || isEnhanced(ds)),
  };
}

const isEnhanced = (ds) => Boolean(ds.elements.x52009229 || ds.elements.x52009230);

function parsed(bytes) {
  const { dicomParser } = globalThis;
  if (!dicomParser) throw new Refusal("The reader of DICOM files did not load; load the page again.");
  let syntax = "";
  try {
    syntax = text(dicomParser.readPart10Header(bytes), "x00020010");
    if ([...NATIVE, ...ENCAPSULATED].includes(syntax)) return dicomParser.parseDicom(bytes);
  } catch {
    throw new Refusal("This DICOM file is damaged or cut off; export it again.");
  }
  if (!syntax) throw new Refusal("This DICOM file is damaged or cut off; export it again.");
  const how = NOT_READ[syntax] ?? `stored in the transfer syntax ${syntax.slice(0, 64)}`;
  throw new Refusal(`The pixels of this DICOM file are ${how}, which this page does not read; export it uncompressed (gdcmconv --raw).`);
}

const text = (ds, tag) => (ds.string(tag) ?? "").replace(/\0/g, "").trim();

function layoutOf(ds) {
  const whole = (tag) => ds.uint16(tag);
  const frames = text(ds, "x00280008") === "" ? 1 : Number(text(ds, "x00280008"));
  const layout = {
    syntax: text(ds, "x00020010"),
    frames,
    rows: whole("x00280010"),
    columns: whole("x00280011"),
    allocated: whole("x00280100"),
    stored: whole("x00280101"),
    signed: whole("x00280103") === 1,
  };
  const pixels = ds.elements.x7fe00010;
  if (!pixels || !layout.rows) throw new Refusal("This DICOM file holds no image with pixels that this page reads.");
  const modality = text(ds, "x00080060");
  if (["SEG", "RTDOSE"].includes(modality)) throw new Refusal(`This is a ${modality} object; give an acquired or reconstructed image.`);
  const samples = whole("x00280002") ?? 1;
  const kind = text(ds, "x00280004");
  if (samples !== 1 || !["MONOCHROME1", "MONOCHROME2", ""].includes(kind)) throw new Refusal(`This DICOM image is in colour (${kind || samples}); only greyscale is processed.`);
  const high = whole("x00280102");
  const fits = [8, 16, 32].includes(layout.allocated) && layout.stored >= 1 && layout.stored <= layout.allocated;
  if (!fits || (high !== undefined && high !== layout.stored - 1)) throw new Refusal(`Bits Allocated ${layout.allocated}, Bits Stored ${layout.stored} and High Bit ${high} do not go together; export the file again.`);
  if (!Number.isInteger(frames)) throw new Refusal("Number of Frames is no number; export the file again.");
  checkSize(frames, layout.rows, layout.columns);
  if (ENCAPSULATED.includes(layout.syntax) !== Boolean(pixels.encapsulatedPixelData)) throw new Refusal("Pixel Data is not encoded as the transfer syntax demands; export the file again.");
  const needed = (frames * layout.rows * layout.columns * layout.allocated) / 8;
  if (!pixels.encapsulatedPixelData && pixels.length < needed) throw new Refusal(`Pixel Data holds ${pixels.length} of the ${needed} bytes that ${frames} frame(s) of ${layout.rows} × ${layout.columns} need; export the file again.`);
  return layout;
}

/** Return slope, intercept, units and pixel spacing of each frame. */
function describe(ds, frames) {
  const first = (data, tag) => data?.elements[tag]?.items?.[0]?.dataSet;
  if (!isEnhanced(ds)) return Array(frames).fill({ ...scaling(ds), spacing: pixelSpacing(ds) });
  const shared = first(ds, "x52009229");
  const groups = ds.elements.x52009230?.items?.map((item) => item.dataSet) ?? Array(frames).fill(undefined);
  if (groups.length !== frames) throw new Refusal(`The header describes ${groups.length} frames and the file has ${frames}; export it again.`);
  const described = groups.map((group) => ({
    ...frameScaling(ds, shared, group),
    spacing: pixelSpacing(first(group, "x00289110") ?? first(shared, "x00289110")) ?? pixelSpacing(ds),
  }));
  const kinds = new Set(described.map(({ units, spacing }) => `${units} ${spacing}`));
  if (kinds.size > 1) throw new Refusal("The frames of this file differ in units or pixel spacing; split the object.");
  return described;
}

/** Return for each frame a view of its samples, how many bytes each has, and their order. */
async function samplesOf(bytes, ds, layout) {
  const { frames, rows, columns, allocated, syntax } = layout;
  if (ENCAPSULATED.includes(syntax)) {
    const found = await decoded(ds, layout);
    return found.map((part) => ({ view: new DataView(part.buffer, part.byteOffset, part.length), wide: part.length / (rows * columns), little: true, swapped: 0 }));
  }
  const wide = allocated / 8;
  const size = rows * columns * wide;
  const little = syntax !== EXPLICIT_BIG_ENDIAN;
  const { dataOffset, vr } = ds.elements.x7fe00010;
  // Old systems write bytes as words, which big endian swaps (PS3.5 section 8.1); then a word may belong to two frames.
  const swapped = !little && wide === 1 && vr === "OW" ? 1 : 0;
  const whole = new DataView(bytes.buffer, bytes.byteOffset + dataOffset);
  return Array.from({ length: frames }, (_, i) => ({ view: whole, first: i * size, wide, little, swapped }));
}

/** Return the frames as float32; computed in double precision and rounded once, as the engine does. */
function physical(samples, { rows, columns, stored, signed }, described) {
  return samples.map(({ view, first = 0, wide, little, swapped }, frame) => {
    const read = {
      1: (i) => view.getUint8((first + i) ^ swapped),
      2: (i) => view.getUint16(first + 2 * i, little),
      4: (i) => view.getUint32(first + 4 * i, little),
    }[wide];
    const unused = 32 - Math.min(stored, 8 * wide);
    const value = signed ? (i) => (read(i) << unused) >> unused : (i) => (read(i) << unused) >>> unused;
    const { slope, intercept } = described[frame];
    return Float32Array.from({ length: rows * columns }, (_, i) => value(i) * slope + intercept);
  });
}
