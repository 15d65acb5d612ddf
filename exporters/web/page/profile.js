// The values along one line of the image, before and after, as a chart.

import { lineOf } from "./frames.js";
import { UNITS, short } from "./numbers.js";

const SVG = "http://www.w3.org/2000/svg";
const BOX = { left: 64, right: 708, top: 14, bottom: 176 };
const TICKS = 5;

/** Draw the profile of a pair of frames; the pixels of a finer matrix are averaged across the line. */
export function drawProfile(svg, { before, after, scale, ratio, units, spacing }, along, line) {
  const first = lineOf(before, along, line);
  const lines = after ? Array.from({ length: scale }, (_, i) => lineOf(after, along, line * scale + i)) : [];
  const second = lines.length ? lines[0].map((_, k) => (ratio * lines.reduce((sum, one) => sum + one[k], 0)) / scale) : [];
  const pitch = spacing ? spacing[along === "row" ? 1 : 0] : 1;
  const values = [...first, ...second];
  const [low, high] = nice(Math.min(0, ...values), Math.max(...values));
  const length = first.length * pitch;
  const x = (position) => BOX.left + ((BOX.right - BOX.left) * position) / length;
  const y = (value) => BOX.bottom - ((BOX.bottom - BOX.top) * (value - low)) / (high - low);
  const path = (data, step) => Array.from(data, (value, i) => `${i ? "L" : "M"}${x((i + 0.5) * step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const parts = axes(x, y, { low, high, length, label: spacing ? "mm" : "pixels", units });
  parts.push(made("path", { d: path(first, pitch), class: "line before" }));
  if (after) parts.push(made("path", { d: path(second, pitch / scale), class: "line after" }));
  parts.push(...legend(Boolean(after)));
  svg.replaceChildren(...parts);
}

function made(name, attributes, words = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = words;
  return element;
}

/** Widen a range to whole steps of 1, 2 or 5. */
function nice(low, high) {
  const step = stepOf(high - low || 1);
  return [Math.floor(low / step) * step, Math.max(Math.ceil(high / step) * step, step)];
}

function stepOf(range) {
  const rough = range / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((digit) => digit * power >= rough) ?? 10);
}

function ticks(low, high) {
  const step = stepOf(high - low);
  return Array.from({ length: Math.floor((high - low) / step + 1e-6) + 1 }, (_, i) => low + i * step);
}

function axes(x, y, { low, high, length, label, units }) {
  const parts = [];
  for (const value of ticks(low, high)) {
    parts.push(made("line", { x1: BOX.left, x2: BOX.right, y1: y(value), y2: y(value), class: "grid" }));
    parts.push(made("text", { x: BOX.left - 8, y: y(value) + 4, class: "end" }, short(value)));
  }
  for (const value of ticks(0, length)) parts.push(made("text", { x: x(value), y: BOX.bottom + 17, class: "middle" }, short(value)));
  parts.push(made("text", { x: BOX.right, y: BOX.bottom + 36, class: "end" }, `position / ${label}`));
  parts.push(made("text", { x: BOX.left, y: BOX.bottom + 36 }, UNITS[units] ? `${UNITS[units]} per pixel of the input`.replace("Bq/ml per pixel of the input", "Bq/ml").replace("HU per pixel of the input", "HU") : ""));
  return parts;
}

function legend(both) {
  const names = both ? ["before", "after"] : ["before"];
  return names.flatMap((name, i) => {
    const at = BOX.right - 150 + i * 80;
    return [
      made("line", { x1: at, x2: at + 20, y1: BOX.top - 4, y2: BOX.top - 4, class: `line ${name}` }),
      made("text", { x: at + 26, y: BOX.top }, name),
    ];
  });
}
