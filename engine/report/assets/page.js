/** Show the theme that the reader chose, or else the system's. */
function themed(viewers) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const dark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const redraw = () => {
    button.textContent = dark() ? "Light" : "Dark";
    viewers.forEach((viewer) => viewer.images && viewer.charts());
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    redraw();
  });
  system.addEventListener("change", redraw);
  let chosen;
  addEventListener("beforeprint", () => {
    chosen = root.dataset.theme;
    root.dataset.theme = "light";
    redraw();
    // The page is narrower than the window: let the charts shrink as pictures do.
    for (const svg of document.querySelectorAll(".plot .main-svg")) {
      svg.setAttribute("viewBox", `0 0 ${svg.width.baseVal.value} ${svg.height.baseVal.value}`);
    }
  });
  addEventListener("afterprint", () => {
    if (chosen) root.dataset.theme = chosen;
    else delete root.dataset.theme;
    for (const svg of document.querySelectorAll(".plot .main-svg")) svg.removeAttribute("viewBox");
    redraw();
  });
  redraw();
}

async function loadPlotly() {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await inflate(document.getElementById("plotly").textContent));
  document.head.append(script);
}

/** Give every result its viewer, then the charts, and say when the page is complete. */
async function start(Kind) {
  if (!window.DecompressionStream) {
    document.getElementById("too-old").hidden = false;
    return;
  }
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const sections = [...document.querySelectorAll("section.result")];
  const viewers = sections.map((section, i) => new Kind(section, settings.results[i], settings));
  themed(viewers);
  await Promise.all(viewers.map((viewer) => viewer.show(viewer.data.start)));
  await loadPlotly();
  viewers.forEach((viewer) => viewer.charts());
  document.documentElement.dataset.ready = "yes";
}
