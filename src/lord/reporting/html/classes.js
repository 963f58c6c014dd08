"use strict";
// The confusion matrix of a run, and thumbnails of its buffer.

const TABLE = 20; // with more classes, the matrix is a picture
const MISTAKES = 5;
const THUMBNAIL = 32;

function confusionOf(run) {
  const { names, confusion, statistics } = run.classes;
  const shares = confusion.map((line) => {
    const all = line.reduce((one, other) => one + other, 0);
    return line.map((value) => (all ? value / all : 0));
  });
  const percent = (i, j) => `${(100 * shares[i][j]).toFixed(1)} %`;
  const options = {
    caption: `Share of each class's test images (row) predicted as each class (column), in %. Batch-norm statistics: ${statistics === "trained" ? "as trained" : statistics}.`,
    rows: names, columns: names, corner: "class", blank: true,
    text: (i, j) => (100 * shares[i][j]).toFixed(0),
    title: (i, j) => (i === j ? `${names[i]}: ${percent(i, j)} right` : `${names[i]} predicted as ${names[j]}: ${percent(i, j)}`),
  };
  const mistakes = shares.flatMap((line, i) => line.map((share, j) => ({ share, i, j })))
    .filter(({ share, i, j }) => i !== j && share > 0).sort((p, q) => q.share - p.share).slice(0, MISTAKES);
  return h("div", {}, names.length <= TABLE ? heatTable(shares, options) : heatPicture(shares, options),
    mistakes.length ? h("ol", { class: "mistakes", "aria-label": "Most frequent mistakes" },
      mistakes.map(({ i, j }) => h("li", {}, options.title(i, j)))) : null);
}

function thumbnailsOf(run) {
  const { names, held, across } = run.classes;
  if (!held) return null;
  const strips = names.map((name, i) => {
    const count = Math.min(held[i], across);
    return h("div", { class: "strip", role: "img", "aria-label": count ? `${count} of ${held[i]} images of ${name}` : `no image of ${name}` });
  });
  if (run.sheet && across) {
    const picture = new Image();
    picture.addEventListener("load", () => {
      const width = THUMBNAIL, height = THUMBNAIL * (picture.naturalHeight / names.length) / (picture.naturalWidth / across);
      strips.forEach((strip, i) => {
        const count = Math.min(held[i], across);
        strip.style.cssText = `width:${count * width}px;height:${count ? height : 0}px;background-size:${across * width}px ${names.length * height}px;`
          + `background-position:0 ${-i * height}px;background-image:url("${run.sheet}")`;
      });
    });
    picture.src = run.sheet;
  }
  return h("div", { class: "tall", tabindex: "0", role: "region", "aria-label": `Buffer of ${runName(run)}` },
    h("div", { class: "thumbs" }, names.flatMap((name, i) => [h("span", { class: "class", title: name }, name), h("span", { class: "number" }, String(held[i])), strips[i]])));
}

/** The accuracy on each class by variant, as a mean over seeds. Classes are those of a seed's order. */
function showClasses() {
  const known = visibleGroups(finished().filter((run) => run.record.per_class && run.record.class_names.length));
  const orders = new Map(); // runs with another order of classes get another table
  for (const group of known) {
    const names = [...new Set(group.runs.flatMap((run) => run.record.class_names))].sort(words.compare);
    const key = names.join("\n");
    if (!orders.has(key)) orders.set(key, { names, groups: [] });
    orders.get(key).groups.push(group);
  }
  find("#classes").hidden = !known.length;
  find("#classes .heats").replaceChildren(...[...orders.values()].map(({ names, groups: rows }) => {
    const shares = rows.map((group) => names.map((name) => {
      const values = group.runs.map((run) => run.record.per_class[run.record.class_names.indexOf(name)]).filter((value) => value !== null && value !== undefined);
      return values.length ? mean(values) / 100 : null;
    }));
    const options = {
      line: 18, caption: "Accuracy on the test images of each class after the last task, in %, as a mean over seeds. Batch-norm statistics: those of the headline.",
      rows: rows.map((group) => group.label), columns: names, corner: "variant",
      text: (i, j) => (100 * shares[i][j]).toFixed(0),
      title: (i, j) => `${rows[i].label}, ${names[j]}: ${shares[i][j] === null ? "no images" : `${(100 * shares[i][j]).toFixed(1)} %`}`,
    };
    return names.length <= TABLE ? heatTable(shares, options) : heatPicture(shares, options);
  }));
}
