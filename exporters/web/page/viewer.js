// The pictures before and after: divider, window, zoom, and the values under the pointer.

import { MAPS, draw, gradient } from "./colours.js";
import { rebin, windowOf } from "./frames.js";
import { UNITS, short } from "./numbers.js";
import { drawProfile } from "./profile.js";

const $ = (id) => document.getElementById(id);
const STEPS = 1000; // of the sliders
const LARGEST_ZOOM = 16;

export class Viewer {
  #view = { x: 0, y: 0, zoom: 1 };
  #window = null;
  #pair = null;
  #waiting = new Set();

  constructor() {
    for (const [name, words] of Object.entries(MAPS)) $("map").add(new Option(words, name));
    const on = (id, event, action) => $(id).addEventListener(event, action);
    on("split", "input", () => this.#divide());
    on("map", "input", () => this.#recolour());
    on("smooth", "input", () => $("stage").classList.toggle("smooth", $("smooth").checked));
    for (const end of ["lower", "upper"]) on(end, "input", () => this.#setWindow(end));
    for (const [id, factor] of [["zoom-in", 2], ["zoom-out", 0.5], ["zoom-fit", 0]]) on(id, "click", () => this.#zoom(factor));
    for (const radio of document.getElementsByName("mode")) radio.addEventListener("input", () => this.#mode(radio.value));
    on("along", "input", () => this.#setLine(undefined));
    on("line", "input", () => this.#setLine(Number($("line").value)));
    new Pointer(this, $("stage"));
    on("stage", "keydown", (event) => this.#key(event));
    this.#divide();
  }

  /**
   * Show a frame, and what the model made of it as soon as that is known.
   * @param {{pixels: Float32Array, rows: number, columns: number}} before
   * @param {object|null} after the same, `scale` times larger
   * @param {{scale: number, ratio: number, units: string, spacing: number[]|null, frames: Float32Array[],
   *   fresh: boolean}} facts `ratio`: what the pixels of `after` are multiplied by to compare them; `frames`: all of the
   *   image, which share a window; `fresh`: another image than before
   */
  show(before, after, facts) {
    this.#pair = { before, after, matched: after && rebin(after, facts.scale, facts.ratio > 1), ...facts };
    const [height, width] = facts.spacing ?? [1, 1];
    const aspect = (before.columns * width) / (before.rows * height);
    const { style } = $("stage").parentElement;
    style.setProperty("--aspect", aspect);
    style.setProperty("--height", aspect < 0.6 ? "115vh" : "72vh");
    if (facts.fresh || !this.#window) {
      this.#window = windowOf(facts.frames, facts.units);
      $("map").value = facts.units === "HU" || facts.units === "NONE" ? "grey" : "inverted";
      this.#zoom(0);
      this.#setLine(undefined);
      this.#place();
    }
    this.#recolour();
    this.#profile();
  }

  /** The picture after, as it is shown, in its own size. */
  get canvas() {
    return $("after").firstElementChild;
  }

  get zoomed() {
    return this.#view.zoom > 1;
  }

  get view() {
    return this.#view;
  }

  /** Where the divider is, 0 to 1; null where there is none. */
  get split() {
    return $("stage").dataset.mode === "slider" ? Number($("split").value) / 100 : null;
  }

  set split(part) {
    $("split").value = 100 * part;
    this.#divide();
  }

  moveTo(x, y, zoom = this.#view.zoom) {
    const inside = (value) => Math.min(1 - 1 / zoom, Math.max(0, value));
    this.#view = { x: inside(x), y: inside(y), zoom };
    for (const canvas of $("stage").querySelectorAll("canvas")) {
      canvas.style.transform = `scale(${zoom}) translate(${-100 * this.#view.x}%, ${-100 * this.#view.y}%)`;
    }
    this.#mark();
  }

  /** Zoom in on a point of the picture, 0 to 1. */
  zoomAt(at) {
    this.#zoom(2, at);
  }

  /** Put the profile through a point of the picture, 0 to 1. */
  pick(at) {
    const { row, column } = this.#pixel(at);
    this.#setLine($("along").value === "row" ? row : column);
  }

  /** Tell the values under a point of the picture, 0 to 1, or nothing. */
  tell(at) {
    if (!at || !this.#pair) {
      $("readout").textContent = "";
      return;
    }
    const { row, column } = this.#pixel(at);
    const { before, matched, units } = this.#pair;
    const i = row * before.columns + column;
    const change = matched ? ` → ${short(matched[i])}` : "";
    $("readout").textContent = `row ${row + 1}, column ${column + 1}: ${short(before.pixels[i])}${change} ${UNITS[units]}`;
  }

  #pixel({ x, y }) {
    const { rows, columns } = this.#pair.before;
    const inside = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value * size)));
    const { x: left, y: top, zoom } = this.#view;
    return { row: inside(top + y / zoom, rows), column: inside(left + x / zoom, columns) };
  }

  #mode(mode) {
    $("stage").dataset.mode = mode;
    $("split-row").hidden = mode !== "slider";
    $("left-name").textContent = mode === "change" ? "After − before" : "Before";
    $("right-name").hidden = mode === "change";
    this.#divide();
    this.#recolour();
  }

  #divide() {
    const slides = $("stage").dataset.mode === "slider";
    const percent = Number($("split").value);
    $("after").style.clipPath = slides ? `inset(0 0 0 ${percent}%)` : "";
    $("divider").style.left = `${percent}%`;
  }

  #zoom(factor, at = { x: 0.5, y: 0.5 }) {
    const { x, y, zoom: old } = this.#view;
    const zoom = factor ? Math.min(LARGEST_ZOOM, Math.max(1, old * factor)) : 1;
    this.moveTo(x + at.x * (1 / old - 1 / zoom), y + at.y * (1 / old - 1 / zoom), zoom);
  }

  /** Put the sliders where the window is. */
  #place() {
    const { low, high, lower, upper } = this.#window;
    $("lower").value = (STEPS * (lower - low)) / (high - low || 1);
    $("upper").value = (STEPS * (upper - low)) / (high - low || 1);
  }

  #setWindow(moved) {
    const { low, high } = this.#window;
    const at = (id) => Number($(id).value);
    if (at("lower") >= at("upper")) $(moved).value = moved === "lower" ? at("upper") - 1 : at("lower") + 1;
    this.#window.lower = low + ((high - low) * at("lower")) / STEPS;
    this.#window.upper = low + ((high - low) * at("upper")) / STEPS;
    this.#soon("colours", () => this.#recolour());
  }

  #recolour() {
    if (!this.#pair) return;
    const { before, after, matched, ratio, units } = this.#pair;
    const { lower, upper } = this.#window;
    const map = $("map").value;
    const canvas = (id) => $(id).firstElementChild;
    draw(canvas("before"), before, lower, upper, map);
    draw(canvas("after"), after ?? before, after ? lower / ratio : lower, after ? upper / ratio : upper, map);
    let ends = [short(lower), short(upper)];
    if ($("stage").dataset.mode === "change") {
      const limit = (upper - lower) / 4;
      const pixels = before.pixels.map((value, i) => (matched ? matched[i] - value : 0));
      draw(canvas("change"), { ...before, pixels }, -limit, limit, "diverging");
      ends = [short(-limit), `+${short(limit)}`];
    }
    $("bar").style.background = gradient($("stage").dataset.mode === "change" ? "diverging" : map);
    $("bar").dataset.lower = `${ends[0]} ${UNITS[units]}`;
    $("bar").dataset.upper = `${ends[1]} ${UNITS[units]}`;
    $("lower-value").textContent = short(lower);
    $("upper-value").textContent = short(upper);
  }

  #setLine(line) {
    if (!this.#pair) return;
    const { rows, columns } = this.#pair.before;
    const across = $("along").value === "row";
    const size = across ? rows : columns;
    $("line").max = size - 1;
    $("line").value = line ?? this.#busiest(across);
    $("line-label").textContent = `${across ? "row" : "column"} ${Number($("line").value) + 1}`;
    this.#mark();
    this.#soon("profile", () => this.#profile());
  }

  /** Return the row or column with the greatest sum. */
  #busiest(across) {
    const { rows, columns, pixels } = this.#pair.before;
    const sums = new Float64Array(across ? rows : columns);
    pixels.forEach((value, i) => (sums[across ? Math.floor(i / columns) : i % columns] += value));
    return sums.indexOf(Math.max(...sums));
  }

  #mark() {
    if (!this.#pair) return;
    const { rows, columns } = this.#pair.before;
    const across = $("along").value === "row";
    const { x, y, zoom } = this.#view;
    const at = ((Number($("line").value) + 0.5) / (across ? rows : columns) - (across ? y : x)) * zoom;
    for (const mark of $("stage").querySelectorAll(".mark")) {
      mark.className = `mark ${across ? "row" : "column"}`;
      mark.hidden = at < 0 || at > 1;
      mark.style.top = across ? `${100 * at}%` : "0";
      mark.style.left = across ? "0" : `${100 * at}%`;
    }
  }

  #profile() {
    if (this.#pair) drawProfile($("profile"), this.#pair, $("along").value, Number($("line").value));
  }

  /** Do something once, before the next picture is drawn. */
  #soon(name, action) {
    if (this.#waiting.has(name)) return;
    this.#waiting.add(name);
    requestAnimationFrame(() => {
      this.#waiting.delete(name);
      action();
    });
  }

  #key(event) {
    const { x, y, zoom } = this.#view;
    const step = 0.1 / zoom;
    const sideways = (sign) => (this.zoomed || this.split === null ? this.moveTo(x + sign * step, y) : (this.split += 0.02 * sign));
    const actions = {
      ArrowLeft: () => sideways(-1),
      ArrowRight: () => sideways(1),
      ArrowUp: this.zoomed && (() => this.moveTo(x, y - step)),
      ArrowDown: this.zoomed && (() => this.moveTo(x, y + step)),
      "+": () => this.#zoom(2),
      "-": () => this.#zoom(0.5),
      0: () => this.#zoom(0),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }
}

/** What the mouse, a pen or a finger does on the stage. */
class Pointer {
  constructor(viewer, stage) {
    this.viewer = viewer;
    stage.addEventListener("pointerdown", (event) => this.#grab(event, stage));
    stage.addEventListener("pointermove", (event) => viewer.tell(this.#at(event)));
    stage.addEventListener("pointerleave", () => viewer.tell(null));
    stage.addEventListener("dblclick", (event) => viewer.zoomAt(this.#at(event) ?? undefined));
  }

  /** Return where an event is in its picture, 0 to 1; null outside of all. */
  #at(event) {
    for (const pane of document.querySelectorAll("#stage .pane")) {
      const box = pane.getBoundingClientRect();
      const at = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height, box };
      if (box.width && at.x >= 0 && at.x <= 1 && at.y >= 0 && at.y <= 1) return at;
    }
    return null;
  }

  /** Begin to drag: the divider, or the picture when it is enlarged and the divider is not near; a click picks a line. */
  #grab(event, stage) {
    const start = this.#at(event);
    const { viewer } = this;
    if (!start || event.button) return;
    const { view, split } = viewer;
    const near = split !== null && Math.abs(start.x - split) * start.box.width < 24;
    const pans = viewer.zoomed && !near;
    let moved = false;
    stage.setPointerCapture(event.pointerId);
    const move = (now) => {
      const [dx, dy] = [now.clientX - event.clientX, now.clientY - event.clientY];
      moved ||= Math.hypot(dx, dy) > 3;
      if (!moved) return;
      if (pans) viewer.moveTo(view.x - dx / start.box.width / view.zoom, view.y - dy / start.box.height / view.zoom);
      else if (split !== null) viewer.split = Math.min(1, Math.max(0, start.x + dx / start.box.width));
    };
    const end = (last) => {
      stage.removeEventListener("pointermove", move);
      if (!moved && last.type === "pointerup") viewer.pick(start);
    };
    stage.addEventListener("pointermove", move);
    for (const type of ["pointerup", "pointercancel"]) stage.addEventListener(type, end, { once: true });
  }
}
