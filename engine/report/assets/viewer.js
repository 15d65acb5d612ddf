/** The pictures and charts of one result. */
class Viewer {
  constructor(section, data, settings) {
    this.section = section;
    this.data = data;
    this.maps = Object.fromEntries(Object.entries(settings.maps).map(([name, hex]) => [name, colourTable(hex)]));
    this.anchors = settings.maps;
    this.diverging = colourTable(settings.diverging);
    this.view = { x: 0, y: 0, zoom: 1 };
    this.frame = 0;
    this.find = (name) => section.querySelector(`[data-part="${name}"]`);
    this.controls();
    this.pointer();
  }

  /** Load a frame and show it. */
  async show(index) {
    const frame = this.data.frames[index];
    this.wanted = index;
    const [before, after] = await Promise.all([plane(frame.before), plane(frame.after)]);
    // A frame that takes long to unpack must not replace one that was asked for later.
    if (this.wanted !== index) return;
    this.frame = index;
    this.images = { before, after, matched: rebin(after, this.data.scale, this.data.ratio > 1) };
    this.setLine(this.line ?? (this.along === "row" ? frame.row : frame.column));
    const label = this.find("frame-label");
    if (label) label.textContent = frame.label;
    this.recolour();
    this.charts();
  }

  get along() {
    return this.find("along").value;
  }

  controls() {
    const on = (name, event, action) => this.find(name)?.addEventListener(event, action);
    on("split", "input", () => this.divide());
    on("frame", "input", (e) => this.show(Number(e.target.value)));
    on("map", "input", () => this.recolour());
    on("upper", "input", () => this.soon("recolour"));
    on("kind", "input", () => this.recolour());
    on("range", "input", () => this.soon("recolour"));
    on("smooth", "input", () => this.paint());
    on("in", "click", () => this.zoom(2));
    on("out", "click", () => this.zoom(0.5));
    on("fit", "click", () => this.zoom(0));
    on("along", "input", () => this.setLine(this.data.frames[this.frame][this.along]));
    on("line", "input", (e) => this.setLine(Number(e.target.value)));
    on("width", "input", () => this.setLine(this.line));
    new ResizeObserver(() => this.soon("paint")).observe(this.find("stack"));
    this.divide();
  }

  /** Call a method once, before the next picture is drawn. */
  soon(name) {
    this.waiting ||= new Set();
    if (this.waiting.has(name)) return;
    this.waiting.add(name);
    requestAnimationFrame(() => {
      this.waiting.delete(name);
      this[name]();
    });
  }

  divide() {
    const percent = Number(this.find("split").value);
    this.find("after").style.clipPath = `inset(0 0 0 ${percent}%)`;
    this.find("divider").style.left = `${percent}%`;
  }

  /** Return the ends of the grey scale in units of the input pixels. */
  window() {
    const [lower, upper] = this.data.window;
    return [lower, lower + (upper - lower) * 10 ** Number(this.find("upper").value)];
  }

  recolour() {
    if (!this.images) return;
    const [lower, upper] = this.window();
    const { ratio } = this.data;
    const name = this.find("map").value;
    this.before = coloured(this.images.before, lower, upper, this.maps[name]);
    this.after = coloured(this.images.after, lower / ratio, upper / ratio, this.maps[name]);
    this.find("bar").style.background = `linear-gradient(to right, ${this.anchors[name].join(", ")})`;
    this.find("bar-lower").textContent = short(lower);
    this.find("bar-upper").textContent = short(upper);
    const same = this.find("per-output");
    if (same) same.textContent = short(upper / ratio);
    this.recolourChange();
    this.paint();
  }

  recolourChange() {
    const normalised = this.find("kind")?.value === "residual";
    const limit = (normalised ? 4 : this.data.change) * 10 ** Number(this.find("range").value);
    this.change = coloured(this.difference(normalised), -limit, limit, this.diverging);
    this.find("change-lower").textContent = `\u2212${short(limit)}`;
    this.find("change-upper").textContent = `+${short(limit)}`;
    this.find("change-unit").textContent = normalised ? "standard deviations of the noise" : this.data.unit;
  }

  /** Return after - before at the input matrix, divided by the Poisson noise where that is asked for. */
  difference(normalised) {
    const { before, matched } = this.images;
    const values = matched.values.map((value, i) => {
      const change = value - before.values[i];
      return normalised ? change / Math.sqrt(Math.max(value, 1)) : change;
    });
    return { rows: before.rows, columns: before.columns, values };
  }

  paint() {
    if (!this.before) return;
    for (const name of ["before", "after", "change"]) this.paintOne(this.find(name), this[name]);
    this.mark();
  }

  paintOne(canvas, image) {
    const box = canvas.getBoundingClientRect();
    canvas.width = Math.max(1, Math.round(box.width * devicePixelRatio));
    canvas.height = Math.max(1, Math.round(box.height * devicePixelRatio));
    const { x, y, zoom } = this.view;
    const context = canvas.getContext("2d");
    const shrinks = (canvas.width * zoom) / image.width < 1;
    context.imageSmoothingEnabled = shrinks || this.find("smooth").checked;
    context.imageSmoothingQuality = "high";
    const [w, h] = [image.width, image.height];
    context.drawImage(image, x * w, y * h, w / zoom, h / zoom, 0, 0, canvas.width, canvas.height);
  }

  /** Zoom by a factor around a point of the picture (0..1), or fit when the factor is 0. */
  zoom(factor, at = { x: 0.5, y: 0.5 }) {
    const old = this.view;
    const zoom = factor ? Math.min(16, Math.max(1, old.zoom * factor)) : 1;
    this.moveTo(old.x + at.x * (1 / old.zoom - 1 / zoom), old.y + at.y * (1 / old.zoom - 1 / zoom), zoom);
  }

  moveTo(x, y, zoom = this.view.zoom) {
    const clamp = (value) => Math.min(1 - 1 / zoom, Math.max(0, value));
    this.view = { x: clamp(x), y: clamp(y), zoom };
    this.section.dataset.zoom = zoom;
    this.soon("paint");
  }

  pointer() {
    const stack = this.find("stack");
    stack.addEventListener("pointerdown", (event) => this.grab(event));
    stack.addEventListener("dblclick", (event) => this.zoom(2, this.at(event)));
    stack.addEventListener("keydown", (event) => this.key(event));
    for (const part of ["stack", "change"]) {
      this.find(part).addEventListener("pointermove", (event) => this.read(event));
      this.find(part).addEventListener("pointerleave", () => (this.find("readout").textContent = ""));
    }
    this.find("change").addEventListener("click", (event) => this.pick(event));
  }

  /** Return where an event is in its picture, 0..1. */
  at(event) {
    const box = event.currentTarget.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  }

  /** Begin to drag: the divider, or the picture when it is enlarged and the divider is not near. */
  grab(event) {
    const stack = event.currentTarget;
    const split = this.find("split");
    const start = { ...this.at(event), view: this.view };
    const near = Math.abs(start.x * 100 - split.value) * stack.clientWidth < 2400;
    const pans = this.view.zoom > 1 && !near;
    let moved = false;
    stack.setPointerCapture(event.pointerId);
    const move = (e) => {
      const now = this.at(e);
      moved ||= Math.hypot((now.x - start.x) * stack.clientWidth, (now.y - start.y) * stack.clientHeight) > 3;
      if (!moved) return;
      const { x, y, zoom } = start.view;
      if (pans) return this.moveTo(x - (now.x - start.x) / zoom, y - (now.y - start.y) / zoom);
      split.value = now.x * 100;
      this.divide();
    };
    const end = (e) => {
      stack.removeEventListener("pointermove", move);
      if (!moved && e.type === "pointerup") this.pick(e);
    };
    stack.addEventListener("pointermove", move);
    for (const type of ["pointerup", "pointercancel"]) stack.addEventListener(type, end, { once: true });
  }

  key(event) {
    const { x, y, zoom } = this.view;
    const step = 0.1 / zoom;
    const split = this.find("split");
    const sideways = (sign) => {
      if (zoom > 1) return this.moveTo(x + sign * step, y);
      split.value = Number(split.value) + 2 * sign;
      this.divide();
    };
    const actions = {
      ArrowLeft: () => sideways(-1),
      ArrowRight: () => sideways(1),
      ArrowUp: zoom > 1 && (() => this.moveTo(x, y - step)),
      ArrowDown: zoom > 1 && (() => this.moveTo(x, y + step)),
      "+": () => this.zoom(2),
      "-": () => this.zoom(0.5),
      0: () => this.zoom(0),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** Return the input pixel under an event. */
  pixel(event) {
    const { x, y } = this.at(event);
    const { rows, columns } = this.data;
    const inside = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value * size)));
    return {
      row: inside(this.view.y + y / this.view.zoom, rows),
      column: inside(this.view.x + x / this.view.zoom, columns),
    };
  }

  pick(event) {
    const { row, column } = this.pixel(event);
    this.setLine(this.along === "row" ? row : column);
  }

  read(event) {
    if (!this.images) return;
    const { row, column } = this.pixel(event);
    const { before, matched } = this.images;
    const i = row * before.columns + column;
    const change = matched.values[i] - before.values[i];
    const sign = change < 0 ? "\u2212" : "+";
    this.find("readout").textContent =
      `row ${row + 1}, column ${column + 1}: ${short(before.values[i])} \u2192 ${short(matched.values[i])} ` +
      `(${sign}${short(Math.abs(change))})`;
  }

  /** Put the profile on a row or column of the input matrix. */
  setLine(line) {
    const { rows, columns } = this.data;
    this.line = line;
    const slider = this.find("line");
    slider.max = (this.along === "row" ? rows : columns) - 1;
    slider.value = line;
    this.find("line-label").textContent = `${this.along} ${line + 1}`;
    this.soon("mark");
    this.soon("drawProfile");
  }

  mark() {
    const { rows, columns } = this.data;
    const across = this.along === "row";
    const size = across ? rows : columns;
    const at = ((this.line + 0.5) / size - (across ? this.view.y : this.view.x)) * this.view.zoom;
    for (const mark of this.section.querySelectorAll('[data-part="mark"]')) {
      mark.className = `mark ${this.along}`;
      mark.hidden = at < 0 || at > 1;
      mark.style.top = across ? `${at * 100}%` : "0";
      mark.style.left = across ? "0" : `${at * 100}%`;
    }
  }

  drawProfile() {
    if (!this.images) return;
    const { scale, ratio, spacing, figures, length } = this.data;
    const width = Number(this.find("width").value);
    const first = this.line - (width - 1) / 2;
    const pitch = this.along === "row" ? spacing[1] : spacing[0];
    const axis = (values, step) => values.map((_, i) => Number(((i + 0.5) * step).toPrecision(6)));
    const before = profile(this.images.before, this.along, first, width, 1);
    const after = profile(this.images.after, this.along, first * scale, width * scale, ratio);
    const figure = { ...figures.profile, layout: { ...figures.profile.layout } };
    figure.layout.xaxis = { ...figure.layout.xaxis, title: { text: `position along the ${this.along} / ${length}`, standoff: 8 } };
    draw(this.find("profile"), figure, [
      { x: axis(before, pitch), y: before },
      { x: axis(after, pitch / scale), y: after },
    ]);
  }

  charts() {
    const frame = this.data.frames[this.frame];
    const { figures } = this.data;
    draw(this.find("values"), figures.values, frame.values);
    const residual = this.find("residual");
    if (residual) residual.hidden = !frame.residual;
    if (frame.residual) draw(residual, figures.residual, [frame.residual]);
    for (const part of this.section.querySelectorAll("[data-frame]")) part.hidden = Number(part.dataset.frame) !== this.frame;
    this.drawProfile();
  }
}
