"use strict";
// Elements of the page. They are built from text, so that nothing in the data is read as HTML.

/** Make an element. `on...` are listeners, `style` sets properties, and the rest are attributes. */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, own] of Object.entries(value)) element.style.setProperty(key, own);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text with places to break a line after commas, colons and slashes, for names without spaces. */
function breakable(text) {
  const parts = text.split(/(?<=[,:/])(?! )/);
  return parts.flatMap((part, n) => (n ? [h("wbr"), part] : [part]));
}

/** Text with code between backticks. */
const coded = (text) => text.split("`").map((part, n) => (n % 2 ? h("code", {}, part) : part));

const find = (selector) => document.querySelector(selector);

/** A group of options of which one is chosen. */
function segments(title, options, chosen, choose) {
  const name = `choice-${title.replace(/\W/g, "-")}`;
  const radios = Object.entries(options).map(([value, text]) =>
    h("label", {}, h("input", {
      type: "radio", name, value, checked: value === chosen, onchange: () => choose(value),
    }), text));
  return h("fieldset", {}, h("legend", {}, title), h("div", { class: "segments" }, radios));
}

function copyButton(text, what) {
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // some browsers give a local file no clipboard
      const area = h("textarea", { class: "visually" }, text);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1200);
  });
  return button;
}

function command(text, what) {
  return text ? h("div", { class: "command" }, h("code", {}, text), copyButton(text, what)) : null;
}

const probe = document.body.appendChild(h("i", { class: "visually", "aria-hidden": "true" }));
const colours = new Map(); // cleared when the theme changes
/** A colour of the current theme, in the form that a canvas needs. */
function colour(name) {
  if (!colours.has(name)) {
    probe.style.color = `var(${name})`;
    colours.set(name, getComputedStyle(probe).color);
  }
  return colours.get(name);
}

const SHAPES = ["circle", "square", "triangle", "diamond", "plus"];
/** Colour and shape of the curve at a place in the legend. */
const lookOf = (place) => ({ colour: `--c${place % 10}`, shape: SHAPES[place % SHAPES.length] });

/** Add a mark to a path, such as a canvas context. */
function trace(path, shape, x, y, r) {
  if (shape === "circle") {
    path.moveTo(x + r, y);
    path.arc(x, y, r, 0, 2 * Math.PI);
    return;
  }
  const a = r * 0.38;
  const corners = {
    square: [[-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]],
    triangle: [[0, -1.15], [1.08, 0.8], [-1.08, 0.8]],
    diamond: [[0, -1.25], [1.1, 0], [0, 1.25], [-1.1, 0]],
    plus: [[-a, -r], [a, -r], [a, -a], [r, -a], [r, a], [a, a], [a, r], [-a, r], [-a, a], [-r, a], [-r, -a], [-a, -a]]
      .map(([i, j]) => [i * 1.15 / r, j * 1.15 / r]),
  }[shape];
  corners.forEach(([i, j], n) => (n ? path.lineTo(x + r * i, y + r * j) : path.moveTo(x + r * i, y + r * j)));
  path.closePath();
}

function swatch(look) {
  const drawn = [];
  const record = {
    moveTo: (x, y) => drawn.push(`M${x} ${y}`), lineTo: (x, y) => drawn.push(`L${x} ${y}`),
    arc: (x, y, r) => drawn.push(`a${r} ${r} 0 1 1 ${-2 * r} 0a${r} ${r} 0 1 1 ${2 * r} 0`), closePath: () => drawn.push("Z"),
  };
  trace(record, look.shape, 7, 7, 5);
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  for (const [name, value] of [["width", 14], ["height", 14], ["aria-hidden", true]]) svg.setAttribute(name, value);
  path.setAttribute("d", drawn.join(""));
  path.style.fill = `var(${look.colour})`;
  svg.append(path);
  return svg;
}
