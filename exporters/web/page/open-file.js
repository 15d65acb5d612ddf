// From a file that somebody chose to frames in physical units.

import { isDicom, readDicom } from "./dicom.js";
import { joined } from "./dicom-series.js";
import { isNpy, readNpy } from "./npy.js";
import { isPng, readPng } from "./png.js";
import { Refusal, checkSize } from "./refusal.js";

const LARGEST_FILE = 2 ** 30;

/**
 * Return the image of a file, told by its content and not by its name.
 * @param {File} file
 * @returns {Promise<object>} name, format, modality, units, spacing [mm] or null, rows, columns, frames, notes
 */
export async function openFile(file) {
  if (file.size > LARGEST_FILE) throw new Refusal(`${file.name} is larger than 1 GiB, which this page does not open.`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  try {
    return { name: file.name, ...(await imageOf(bytes)) };
  } catch (error) {
    if (error instanceof Refusal) error.message = `${file.name}: ${error.message}`;
    throw error;
  }
}

/**
 * Return the image of one file, or of the slices of one DICOM series.
 * @param {File[]} files at least one
 * @returns {Promise<object>} as of openFile
 */
export async function openFiles(files) {
  if (files.length === 1) return openFile(files[0]);
  const images = [];
  let size = 0;
  for (const file of files) {
    size += file.size;
    if (size > LARGEST_FILE) throw new Refusal("These files are larger than 1 GiB together, which this page does not open.");
    const image = await openFile(file);
    if (!image.place) throw new Refusal(`${file.name}: only slices of one DICOM series can be opened together.`);
    images.push(image);
  }
  return joined(images);
}

async function imageOf(bytes) {
  if (isDicom(bytes)) return { format: "DICOM", ...(await readDicom(bytes)) };
  if (isPng(bytes)) {
    const { rows, columns, bits, data } = await readPng(bytes);
    return { format: `PNG, ${bits} bits`, ...nameless(rows, columns, [data]) };
  }
  if (isNpy(bytes)) return { format: "NumPy array", ...framesOf(readNpy(bytes)) };
  throw new Refusal("This is neither DICOM nor PNG nor a NumPy array (.npy).");
}

/** Return the frames of an array of shape (rows, columns) or (n, rows, columns). */
export function framesOf({ shape, data }) {
  if (shape.length < 2 || shape.length > 3) throw new Refusal(`An array of shape (${shape.join(", ")}) is no image; give (n, rows, columns).`);
  const [n, rows, columns] = shape.length === 2 ? [1, ...shape] : shape;
  checkSize(n, rows, columns);
  const size = rows * columns;
  return nameless(rows, columns, Array.from({ length: n }, (_, i) => data.subarray(i * size, (i + 1) * size)));
}

const nameless = (rows, columns, frames) => ({ modality: "OT", units: "NONE", spacing: null, rows, columns, frames, notes: [] });
