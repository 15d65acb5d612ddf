/** The charts of a reconstruction; one of them is a body that the reader turns. */
class Reconstructed {
  constructor(section, data) {
    this.section = section;
    this.data = data;
    this.images = true;
  }

  show() {}

  charts() {
    for (const [name, figure] of Object.entries(this.data.figures)) {
      const element = this.section.querySelector(`[data-part="${name}"]`);
      if (name === "scene") this.solid(element, figure);
      else draw(element, figure, []);
    }
  }

  /** Draw a figure in three dimensions in the colours of the theme; the reader's view of it stays. */
  solid(element, figure) {
    if (!window.Plotly) return;
    const data = figure.data.map((trace) => {
      const colour = token(trace.meta);
      if (trace.type !== "mesh3d") return { ...trace, line: { ...trace.line, color: colour }, textfont: { color: colour } };
      if (!trace.intensity) return { ...trace, color: colour };
      return { ...trace, colorbar: { ...trace.colorbar, tickfont: { color: token("soft") } } };
    });
    const scene = { ...figure.layout.scene };
    for (const name of ["xaxis", "yaxis", "zaxis"]) {
      scene[name] = { ...scene[name], color: token("soft"), gridcolor: token("rule"), zerolinecolor: token("rule") };
    }
    const camera = element.layout?.scene?.camera;
    if (camera) scene.camera = camera;
    const layout = {
      ...figure.layout,
      scene,
      autosize: true,
      paper_bgcolor: "rgba(0,0,0,0)",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: token("soft"), activecolor: token("accent") },
      hoverlabel: { bgcolor: token("paper"), bordercolor: token("rule"), font: { color: token("ink") } },
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: token("soft") },
    };
    window.Plotly.react(element, data, layout, {
      responsive: true,
      displaylogo: false,
      displayModeBar: "hover",
      modeBarButtons: [["toImage", "resetCameraDefault3d"]],
      scrollZoom: true,
    });
  }
}

start(Reconstructed);
