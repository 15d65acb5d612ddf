// Numbers and sizes in words.

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

const minus = (text) => text.replace("-", "\u2212");

/** Return a number as digits times a power of ten. */
export function scientific(value, digits = 2) {
  const [factor, power] = value.toExponential(digits).split("e");
  const raised = Array.from(String(Number(power)), (character) => RAISED[character]).join("");
  return `${minus(factor)} × 10${raised}`;
}

/** Return a number with four digits that count, and thin spaces between thousands. */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-3) return scientific(value);
  return minus(Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 })).replaceAll(",", "\u202f");
}

/** Return a whole number with thin spaces between thousands, or what `short` makes of another one. */
export function total(value) {
  if (!Number.isFinite(value) || Math.abs(value) >= 1e12) return short(value);
  const digits = Number.isInteger(Math.round(value * 1e3) / 1e3) || Math.abs(value) >= 1e4 ? 0 : 3;
  return minus(value.toLocaleString("en", { maximumFractionDigits: digits })).replaceAll(",", "\u202f");
}

/** Return a relative change in percent. */
export function percent(change) {
  if (!Number.isFinite(change)) return "–";
  if (Math.abs(change) < 5e-7) return "0 %";
  return `${change > 0 ? "+" : ""}${minus(String(Number((100 * change).toPrecision(2))))} %`;
}

/** Return a time. */
export const time = (ms) => (ms < 1000 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1000).toPrecision(3))} s`);

/** What values are in, for people. */
export const UNITS = { CNTS: "counts", BQML: "Bq/ml", SUVbw: "g/ml (SUV)", HU: "HU", NONE: "" };
