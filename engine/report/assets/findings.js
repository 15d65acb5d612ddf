/** One analysed frame: its pictures, the map of evidence over them, and the chart of the operating point. */
class Findings {
  constructor(section, data) {
    this.section = section;
    this.data = data;
    this.images = true;
    this.find("opacity")?.addEventListener("input", () => this.lay());
    this.find("map")?.addEventListener("input", () => this.lay());
    this.find("boxes")?.addEventListener("input", () => this.lay());
  }

  find(name) {
    return this.section.querySelector(`[data-part="${name}"]`);
  }

  show() {
    this.lay();
  }

  /** Lay the chosen map over every picture, as strongly as the reader wants. */
  lay() {
    const chosen = this.find("map")?.value ?? "0";
    for (const map of this.section.querySelectorAll("[data-map]")) {
      map.hidden = map.dataset.map !== chosen;
      map.style.opacity = Number(this.find("opacity").value) / 100;
    }
    const shown = this.find("boxes")?.checked ?? true;
    for (const mark of this.section.querySelectorAll("[data-box]")) mark.toggleAttribute("hidden", !shown);
  }

  charts() {
    for (const [name, figure] of Object.entries(this.data.figures)) draw(this.find(name), figure, []);
  }
}

start(Findings);
