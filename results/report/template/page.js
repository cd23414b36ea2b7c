"use strict";
// Draws the figure that the page holds, follows the theme and the width, and sorts tables.

const plot = document.getElementById("plot");
const drawn = JSON.parse(document.getElementById("figure").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const NARROW_PX = 640;
// What a sheet of A4 has between its margins.
const PAPER_PX = 690;
const logarithmic = new Map(drawn.panes.filter((p) => p.log).map((p) => [p.axis, p.starts_log]));
let printing = false;

for (const trace of drawn.traces) {
  trace.x ??= trace.y.map((_, n) => drawn.x0 + n * drawn.dx);
}

function theme() {
  return dark.matches && !printing
    ? { ink: "#cbd5e1", line: "#2c3642", card: "#171e27", box: "#0f141a" }
    : { ink: "#334155", line: "#e5e9ee", card: "#ffffff", box: "#ffffff" };
}

// How many rows the names of a pane's curves take: plotly gives each the room of the widest.
function legendRows(pane, room) {
  const widths = drawn.traces.filter((t) => t.legend === pane.legend).map((t) => 48 + 6.4 * t.name.length);
  const total = widths.reduce((sum, width) => sum + width, 0);
  if (total <= room) return 1;
  return Math.ceil(widths.length / Math.max(1, Math.floor(room / Math.max(...widths))));
}

// What lies above a pane: beside its title, where there is room, the names of its curves.
function headOf(pane, width, narrow) {
  if (!pane.title) return { px: 6, rows: 0, beside: false };
  const rows = legendRows(pane, narrow ? width : width - 9 * pane.title.length);
  const beside = !narrow && rows === 1;
  return { px: beside ? 34 : 32 + 19 * rows, rows, beside };
}

// Panes from top to bottom, each under its title and legend; positions as shares of the height.
function placed(layout, width) {
  const narrow = width < NARROW_PX;
  const margin = { l: narrow ? 46 : 58, r: narrow ? 6 : 12, t: 2, b: 30 };
  const heads = drawn.panes.map((pane) => headOf(pane, width - margin.l - margin.r, narrow));
  // On paper the whole plot is on one sheet.
  const heights = drawn.panes.map((pane) => pane.height * (printing ? 0.65 : 1));
  const inner = heads.reduce((sum, head, n) => sum + heights[n] + head.px, 0);
  const colours = theme();
  layout.annotations = [];
  let top = 0;
  drawn.panes.forEach((pane, n) => {
    const upper = 1 - (top + heads[n].px) / inner;
    top += heads[n].px + heights[n];
    const axis = layout[pane.axis];
    axis.domain = [Math.max(0, 1 - top / inner), upper];
    axis.gridcolor = colours.line;
    axis.zerolinecolor = colours.line;
    axis.color = colours.ink;
    if (pane.log) {
      axis.type = logarithmic.get(pane.axis) ? "log" : "linear";
      axis.dtick = axis.type === "log" ? 1 : undefined;
    }
    if (!pane.title) return;
    layout.annotations.push({
      text: `<b>${pane.title}</b>`, xref: "paper", yref: "paper", x: 0, y: upper,
      xanchor: "left", yanchor: "bottom", yshift: heads[n].beside ? 4 : 2 + 19 * heads[n].rows,
      showarrow: false, font: { size: 13, color: colours.ink },
    });
    layout[pane.legend] = {
      orientation: "h", x: heads[n].beside ? 1 : 0, xanchor: heads[n].beside ? "right" : "left",
      y: upper, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)", font: { size: 11, color: colours.ink },
    };
  });
  layout.height = inner + margin.t + margin.b;
  layout.margin = margin;
}

// A band's name stands in it where it has room; pointing at the band tells it anyway.
function fitLabels(layout, width) {
  const [from, to] = layout.xaxis.range.map(Number);
  for (const shape of layout.shapes) {
    const room = ((shape.x1 - shape.x0) / (to - from)) * width;
    if (shape.names) shape.label.text = shape.names.find((name) => 6.5 * name.length < room) ?? "";
  }
}

function layoutNow() {
  const width = printing ? PAPER_PX : plot.clientWidth;
  const colours = theme();
  const layout = structuredClone(drawn.layout);
  placed(layout, width);
  fitLabels(layout, width);
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
    displayModeBar: plot.clientWidth < NARROW_PX ? false : "hover", modeBarButtons: [["toImage"]],
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
