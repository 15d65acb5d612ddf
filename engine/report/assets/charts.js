/** Return the value of a custom property of the page. */
function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Draw a figure with the coordinates of its first traces, in the colours of the theme. */
function draw(element, figure, coordinates) {
  if (!window.Plotly) return;
  const data = figure.data.map((trace, i) => {
    const colour = token(trace.meta);
    const painted = { ...trace, ...(coordinates[i] || {}) };
    if (trace.type === "bar") painted.marker = { color: token(trace.meta === "after" ? "bar" : trace.meta), line: { width: 0 } };
    else if (trace.type !== "heatmap") painted.line = { ...trace.line, color: colour };
    if (trace.fill) painted.fillcolor = `${colour}33`;
    if (trace.marker && trace.type !== "bar") painted.marker = { ...trace.marker, color: colour };
    return painted;
  });
  const axis = { color: token("soft"), gridcolor: token("rule"), linecolor: token("rule"), tickcolor: token("rule") };
  const layout = {
    ...figure.layout,
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: token("soft"), activecolor: token("accent") },
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: token("soft") },
    hoverlabel: { bgcolor: token("paper"), bordercolor: token("rule"), font: { color: token("ink") } },
    xaxis: { ...figure.layout.xaxis, ...axis },
    yaxis: { ...figure.layout.yaxis, ...axis },
  };
  window.Plotly.react(element, data, layout, {
    responsive: true,
    displaylogo: false,
    displayModeBar: "hover",
    modeBarButtons: [["toImage", "resetScale2d"]],
  });
}

/** Return the mean of `width` rows (or columns) around a line of an image, scaled. */
function profile(image, along, line, width, gain) {
  const [length, lines] = along === "row" ? [image.columns, image.rows] : [image.rows, image.columns];
  const first = Math.max(0, Math.min(lines - width, line));
  const sums = new Float64Array(length);
  for (let k = first; k < first + width; k++) {
    for (let i = 0; i < length; i++) {
      sums[i] += along === "row" ? image.values[k * image.columns + i] : image.values[i * image.columns + k];
    }
  }
  return Array.from(sums, (sum) => Number(((sum * gain) / width).toPrecision(5)));
}

/** Return a number with three significant digits. */
function short(value) {
  const text = Math.abs(value) >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
  return text.replace("-", "\u2212");
}
