/** The frames and charts of one measured image; its pictures need no script but the choice of the frame. */
class Measured {
  constructor(section, data) {
    this.section = section;
    this.data = data;
    this.images = true;
    this.find = (name) => section.querySelector(`[data-part="${name}"]`);
    this.find("frame")?.addEventListener("input", (event) => this.show(Number(event.target.value)));
  }

  show(index) {
    for (const part of this.section.querySelectorAll("[data-frame]")) part.hidden = Number(part.dataset.frame) !== index;
    const label = this.find("frame-label");
    if (label) label.textContent = this.data.labels[index];
  }

  charts() {
    for (const [name, figure] of Object.entries(this.data.figures)) draw(this.find(name), figure, []);
  }
}

start(Measured);
