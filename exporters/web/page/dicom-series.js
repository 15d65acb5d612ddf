// Slices of one series: whether files belong together, and in which order, as engine/dicom/series.py finds it.

import { Refusal, checkSize } from "./refusal.js";

const SAME_PLACE_MM = 0.01;

const text = (ds, tag) => (ds.string(tag) ?? "").replace(/\0/g, "").trim();

function numbers(ds, tag, count) {
  const found = text(ds, tag).split("\\").map(Number);
  return found.length === count && text(ds, tag) !== "" && found.every(Number.isFinite) ? found : null;
}

/**
 * Return what tells where a file belongs: `key`, the same for files of one stack, and what orders them.
 * @param {object} ds from dicom-parser
 * @param {boolean} alone whether the object orders its frames itself: NM, multi-frame and enhanced objects
 */
export function placeOf(ds, alone) {
  const uid = text(ds, "x00080018");
  const cosines = numbers(ds, "x00200037", 6);
  const lies = cosines ? cosines.map((value) => Math.round(value * 1000) / 1000) : text(ds, "x00200020");
  const parts = ["x0020000e", "x00080016", "x00080060", "x00541001", "x00281054"].map((tag) => text(ds, tag));
  const stamp = [text(ds, "x00080022") || text(ds, "x0008002a"), text(ds, "x00080032")];
  const number = (tag) => numbers(ds, tag, 1)?.[0] ?? 0;
  return {
    uid,
    alone,
    key: alone ? uid : JSON.stringify([...parts, lies]),
    depth: depthOf(cosines, numbers(ds, "x00200032", 3)),
    order: [...stamp, number("x00541300"), number("x00181060"), number("x00200011"), number("x00200013"), uid],
    rank: [number("x00200011"), number("x00200013"), uid],
  };
}

/** Return the place along the slice normal in mm, or null. */
function depthOf(cosines, position) {
  if (!cosines || !position) return null;
  const [a, b, c, d, e, f] = cosines;
  const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
  return normal.reduce((sum, value, i) => sum + value * position[i], 0);
}

function compare(one, other) {
  for (let i = 0; i < one.length; i += 1) {
    if (one[i] < other[i]) return -1;
    if (one[i] > other[i]) return 1;
  }
  return 0;
}

/**
 * Return one image made of the slices of several files.
 * @param {object[]} images of readDicom, each with a name
 */
export function joined(images) {
  const different = [...new Map(images.map((image) => [image.place.uid || image.name, image])).values()];
  const [first] = different;
  if (different.length === 1) return first;
  const kind = ({ place, rows, columns, spacing, units }) =>
    `${place.key} ${rows} ${columns} ${spacing?.map((step) => step.toFixed(4))} ${units} ${place.depth === null}`;
  const kinds = new Set(different.map(kind)).size;
  if (different.some(({ place }) => place.alone)) throw new Refusal(`${first.name}: objects like this one hold a whole series; open one at a time.`);
  if (kinds > 1) throw new Refusal(`These ${different.length} files belong to ${kinds} series or stacks; choose those of one.`);
  checkSize(different.length, first.rows, first.columns);
  const ordered = inOrder(different);
  const notes = new Set(ordered.flatMap((image) => image.notes));
  const gap = gapOf(ordered);
  if (gap) notes.add(gap);
  return {
    ...first,
    name: `${ordered.length} images (${ordered[0].name} …)`,
    frames: ordered.flatMap((image) => image.frames),
    notes: [...notes],
  };
}

/** Return slices along the normal, those of one place by time; by Instance Number where no position is known. */
function inOrder(images) {
  if (images[0].place.depth === null) return images.toSorted((a, b) => compare(a.place.rank, b.place.rank));
  const places = placesOf(images);
  const key = ({ place }) => [places.get(place.depth), ...place.order];
  return images.toSorted((a, b) => compare(key(a), key(b)));
}

/** Return for each depth that of its place: the frames of a dynamic series share one, but for rounding. */
function placesOf(images) {
  const places = new Map();
  let place = -Infinity;
  for (const depth of images.map((image) => image.place.depth).sort((a, b) => a - b)) {
    if (depth - place > SAME_PLACE_MM) place = depth;
    places.set(depth, place);
  }
  return places;
}

/** Return a sentence when a stack has a hole, else nothing. */
function gapOf(images) {
  if (images[0].place.depth === null) return "";
  const places = [...new Set(placesOf(images).values())].sort((a, b) => a - b);
  const steps = places.slice(1).map((place, i) => place - places[i]).sort((a, b) => a - b);
  if (steps.length < 2) return "";
  const middle = (steps[(steps.length - 1) >> 1] + steps[steps.length >> 1]) / 2;
  if (steps.at(-1) < 1.5 * middle) return "";
  return `Slices are unevenly spaced (usually ${middle.toFixed(2)} mm, at most ${steps.at(-1).toFixed(2)} mm): some may be missing.`;
}
