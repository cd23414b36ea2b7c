"use strict";
// Draws the figure that the page holds, follows the theme and the width, and sorts tables.

const plot = document.getElementById("plot");
const drawn = JSON.parse(document.getElementById("figure").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const NARROW_PX = 640;
const logarithmic = new Map(drawn.panes.filter((p) => p.log).map((p) => [p.axis, p.starts_log]));
let printing = false;

function theme() {
  return dark.matches && !printing
    ? { ink: "#cbd5e1", line: "#2c3642", card: "#171e27", box: "#0f141a" }
    : { ink: "#334155", line: "#e5e9ee", card: "#ffffff", box: "#ffffff" };
}

// Panes from top to bottom, each under its title and legend; positions as shares of the height.
function placed(layout, narrow) {
  const above = narrow ? 50 : 34;
  const inner = drawn.panes.reduce((sum, p) => sum + p.height + above, 0);
  const margin = { l: narrow ? 46 : 58, r: 12, t: 4, b: 34 };
  const colours = theme();
  layout.annotations = [];
  let top = 0;
  for (const pane of drawn.panes) {
    const head = pane.title ? above : 8;
    const upper = 1 - (top + head) / inner;
    const lower = 1 - (top + head + pane.height) / inner;
    top += head + pane.height;
    const axis = layout[pane.axis];
    axis.domain = [Math.max(0, lower), upper];
    axis.gridcolor = colours.line;
    axis.zerolinecolor = colours.line;
    axis.color = colours.ink;
    if (pane.log) {
      axis.type = logarithmic.get(pane.axis) ? "log" : "linear";
      axis.dtick = axis.type === "log" ? 1 : undefined;
    }
    if (!pane.title) continue;
    layout.annotations.push({
      text: `<b>${pane.title}</b>`, xref: "paper", yref: "paper", x: 0, y: upper,
      xanchor: "left", yanchor: "bottom", yshift: narrow ? 22 : 4, showarrow: false,
      font: { size: 13, color: colours.ink },
    });
    layout[pane.legend] = {
      orientation: "h", x: narrow ? 0 : 1, xanchor: narrow ? "left" : "right",
      y: upper, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)", font: { size: 11, color: colours.ink },
    };
  }
  // What the lane's missing title leaves over lies below the last pane.
  layout.height = inner + margin.t + margin.b;
  layout.margin = margin;
}

function layoutNow() {
  const width = plot.clientWidth;
  const narrow = width < NARROW_PX;
  const colours = theme();
  const layout = structuredClone(drawn.layout);
  placed(layout, narrow);
  Object.assign(layout.xaxis, {
    domain: [0, 1], anchor: drawn.panes.at(-1).axis.replace("axis", ""), color: colours.ink,
    gridcolor: colours.line, showspikes: true, spikemode: "across", spikethickness: 1,
    spikedash: "solid", spikecolor: colours.ink, spikesnap: "cursor",
    // A finger scrolls the page; a mouse looks closer.
    fixedrange: window.matchMedia("(pointer: coarse)").matches,
  });
  const range = plot.layout && plot.layout.xaxis.range;
  if (range && !printing) layout.xaxis.range = range.slice();
  Object.assign(layout, {
    width, autosize: false, hovermode: "x unified", hoversubplots: "axis", hoverdistance: 30,
    dragmode: layout.xaxis.fixedrange ? false : "zoom",
    paper_bgcolor: colours.card, plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colours.ink, size: 11, family: getComputedStyle(document.body).fontFamily },
    hoverlabel: { bgcolor: colours.box, bordercolor: colours.line, font: { size: 11, color: colours.ink } },
  });
  return layout;
}

function draw() {
  const config = {
    displaylogo: false, responsive: false, scrollZoom: false, showTips: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoom2d", "pan2d"],
    toImageButtonOptions: { filename: "plot", scale: 2 },
  };
  return Plotly.react(plot, drawn.traces, layoutNow(), config);
}

function tools() {
  const scale = document.getElementById("scale");
  const show = () => {
    scale.setAttribute("aria-pressed", String([...logarithmic.values()].some(Boolean)));
  };
  scale.hidden = logarithmic.size === 0;
  scale.addEventListener("click", () => {
    const on = scale.getAttribute("aria-pressed") !== "true";
    for (const axis of logarithmic.keys()) logarithmic.set(axis, on);
    show();
    draw();
  });
  document.getElementById("whole").addEventListener("click", () => {
    Plotly.relayout(plot, { "xaxis.range": drawn.layout.xaxis.range.slice() });
  });
  show();
  document.querySelector(".tools").hidden = false;
}

// What a cell sorts by: its number, or its text; what has neither comes last either way.
function keyOf(cell) {
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  const text = cell.textContent.trim();
  return text === "-" || text === "" ? null : text;
}

function sort(table, column, descending) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [keyOf(row.cells[column]), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" && typeof b === "number"
      ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
    return descending ? -order : order;
  });
  body.append(...rows.map(([, row]) => row));
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const descending = before ? before === "ascending" : head.classList.contains("number");
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table, column, descending);
    });
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  if (table.tBodies[0].rows.length > 1) sortable(table);
}
draw().then(tools);
dark.addEventListener("change", draw);
let width = plot.clientWidth;
new ResizeObserver(() => {
  if (plot.clientWidth === width || printing) return;
  width = plot.clientWidth;
  requestAnimationFrame(draw);
}).observe(plot);
window.addEventListener("beforeprint", () => { printing = true; draw(); });
window.addEventListener("afterprint", () => { printing = false; draw(); });
