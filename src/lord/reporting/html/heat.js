"use strict";
// Matrices as coloured tables, or as pictures where they are large.

// The colour map viridis at even distances (Smith and van der Walt, CC0).
const VIRIDIS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37]];

function heatColour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1), low = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[low].map((value, n) => Math.round(value + (VIRIDIS[low + 1][n] - value) * (place - low)));
}

/** Black or white, whichever has more contrast (WCAG). */
function inkOn(rgb) {
  const [r, g, b] = rgb.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

/** A table of shares from 0 to 1. Missing values are empty cells, and so are zeros if `blank`. */
function heatTable(matrix, { caption, rows, columns, corner, text, title, blank }) {
  const width = Math.max(...matrix.map((line) => line.length));
  const cell = (value, i, j) => {
    if (value === undefined || value === null) return h("td");
    if (blank && !value) return h("td", { class: "zero", title: title(i, j) });
    const rgb = heatColour(value);
    return h("td", { title: title(i, j), style: { background: `rgb(${rgb})`, color: inkOn(rgb) } }, text(i, j));
  };
  const table = h("table", { class: width > 10 ? "heat many" : "heat" },
    h("thead", {}, h("tr", {}, h("td", {}, h("span", { class: "visually" }, corner)),
      Array.from({ length: width }, (_, j) => h("th", { scope: "col", title: columns[j] }, columns[j])))),
    h("tbody", {}, matrix.map((line, i) => h("tr", {}, h("th", { scope: "row", title: rows[i] }, rows[i]),
      Array.from({ length: width }, (_, j) => cell(line[j], i, j))))));
  return h("div", {}, h("p", { class: "note caption" }, caption),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table));
}

/** The matrix as a picture with a pixel for each cell, or rows of `line` pixels; a line below describes the cell pointed at. */
function heatPicture(matrix, { caption, title, line }) {
  const [height, width] = [matrix.length, matrix[0].length];
  const canvas = h("canvas", { class: "heat-map", width, height, role: "img", "aria-label": caption, style: line ? { height: `${line * height}px` } : {} });
  const pixels = new ImageData(width, height);
  matrix.forEach((line, i) => line.forEach((value, j) => pixels.data.set(value === null ? [0, 0, 0, 0] : [...heatColour(value), 255], 4 * (i * width + j))));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const said = h("p", { class: "note" }, caption);
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const [i, j] = [[event.clientY - box.top, box.height, height], [event.clientX - box.left, box.width, width]]
      .map(([at, length, count]) => Math.min(Math.max(Math.floor(at / length * count), 0), count - 1));
    said.textContent = title(i, j);
  });
  canvas.addEventListener("pointerleave", () => { said.textContent = caption; });
  return h("div", {}, canvas, said);
}

function accuracyMatrix(run) {
  const matrix = matrixOf(run);
  if (!matrix || !matrix.length) return h("p", { class: "empty" }, "none yet");
  const name = (task) => `${task + 1}`;
  const tasks = Math.max(...matrix.map((line) => line.length));
  return heatTable(matrix.map((line) => line.map((value) => value / 100)), {
    caption: `${MEASURES[state.measure]} in %, after each task (row) on each task (column). Batch-norm statistics: ${again(run) ? "recomputed" : "as trained"}.`,
    rows: matrix.map((_, i) => (matrix.length === 1 && tasks > 1 ? "all" : name(i))), columns: Array.from({ length: tasks }, (_, j) => name(j)), corner: "after task",
    text: (i, j) => matrix[i][j].toFixed(0),
    title: (i, j) => `after task ${i + 1}, on task ${j + 1}: ${matrix[i][j].toFixed(1)} %`,
  });
}
