// From stored to physical values: slope, intercept, units and pixel spacing, as engine/dicom/units.py reads them.

import { Refusal } from "./refusal.js";

const UCUM = {
  "Bq/ml": "BQML",
  "Bq/mL": "BQML",
  "{counts}": "CNTS",
  "{count}": "CNTS",
  "g/ml{SUVbw}": "SUVbw",
  "{SUVbw}g/ml": "SUVbw",
  "[hnsf'U]": "HU",
};
const PET_UNITS = { CNTS: "CNTS", BQML: "BQML" };
const IDENTITY = { slope: 1, intercept: 0, units: "NONE" };

const text = (ds, tag) => (ds?.string(tag) ?? "").replace(/\0/g, "").trim();
const first = (ds, tag) => ds?.elements[tag]?.items?.[0]?.dataSet;
const says = ({ slope, intercept, units }) => slope !== 1 || intercept !== 0 || units !== "NONE";

/**
 * Return slope, intercept and units of a classic object.
 * @see PS3.3 C.8.4.8 (NM image), C.8.9.4 (PET image), C.8.2.1 (CT image), C.7.6.16.2.11 (real world value mapping)
 */
export function scaling(ds) {
  const modality = text(ds, "x00080060");
  const rescale = rescaleOf(ds);
  if (modality === "NM") return mapping(ds) ?? (rescale && says(rescale) ? rescale : { ...IDENTITY, units: "CNTS" });
  if (!rescale) return IDENTITY;
  if (modality === "PT") return { ...rescale, units: petUnits(ds) };
  if (modality === "CT" && ["", "HU"].includes(text(ds, "x00281054"))) return { ...rescale, units: "HU" };
  return rescale;
}

/** Return the same for a frame of an enhanced object (PS3.3 C.7.6.16.2.9); a mapping in known units comes first. */
export function frameScaling(ds, shared, group) {
  const mapped = (group && mapping(group)) ?? (shared && mapping(shared));
  if (mapped && mapped.units !== "NONE") return mapped;
  const transformation = first(group, "x00289145") ?? first(shared, "x00289145");
  const rescale = transformation && rescaleOf(transformation);
  if (!rescale) return mapped ?? IDENTITY;
  const kind = text(transformation, "x00281054");
  return { ...rescale, units: kind === "HU" ? "HU" : (PET_UNITS[kind] ?? petUnits(ds)) };
}

/** Return the distance between rows and between columns in mm: Pixel Spacing before that of the detector (PS3.3 10.7.1.3). */
export function pixelSpacing(ds) {
  for (const tag of ["x00280030", "x00181164", "x00182010"]) {
    const found = text(ds, tag).split("\\").map(Number);
    if (found.length === 2 && found.every((step) => step > 0 && step < Infinity)) return found;
  }
  return null;
}

function petUnits(ds) {
  const units = text(ds, "x00541001");
  if (units === "GML" && ["", "BW"].includes(text(ds, "x00541006"))) return "SUVbw";
  return PET_UNITS[units] ?? "NONE";
}

function number(ds, tag) {
  const found = text(ds, tag);
  if (found === "") return undefined;
  if (!Number.isFinite(Number(found))) throw new Refusal(`The element ${tag.slice(1)} of this DICOM file is no number; correct the header.`);
  return Number(found);
}

function rescaleOf(ds) {
  const slope = number(ds, "x00281053");
  if (slope === undefined) return null;
  if (slope === 0) throw new Refusal("Rescale Slope is 0, which erases the image; correct the header.");
  return { slope, intercept: number(ds, "x00281052") ?? 0, units: "NONE" };
}

/** Return the first linear Real World Value Mapping in known units, else the first that says anything. */
function mapping(ds) {
  const items = ds.elements.x00409096?.items?.map((item) => item.dataSet) ?? [];
  const found = items
    .filter((item) => item?.double("x00409225"))
    .map((item) => ({
      slope: item.double("x00409225"),
      intercept: item.double("x00409224") ?? 0,
      units: UCUM[text(first(item, "x004008ea"), "x00080100")] ?? "NONE",
    }))
    .filter(says);
  return found.find(({ units }) => units !== "NONE") ?? found[0];
}
