"use strict";
// The page of a learner, or of its evaluation on a folder.

const page = JSON.parse(document.getElementById("data").textContent);
const found = page.inspection, measured = page.evaluation || (found && found.held_out);
const SMALL = 20; // most rows and columns of a table of numbers; larger matrices are pictures
let chart = null;

function redraw() {
  if (chart && chart.u) chart.make(); // the axes take new colours
}

/** Show a section of the page, with some of its elements filled. */
function section(id, parts) {
  find(id).hidden = false;
  for (const [selector, children] of Object.entries(parts)) find(`${id} ${selector}`).replaceChildren(...[children].flat(2).filter(Boolean));
}

const whole = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));
const share = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));
const counted = (number, what) => `${whole(number)} ${what}${number === 1 ? "" : "s"}`;

function bytes(count) {
  const [least, unit] = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]].find(([size]) => count >= size) || [1, "B"];
  return `${Number((count / least).toPrecision(3))} ${unit}`;
}

/** A table with a head and rows of cells. Columns after the first `words` are numbers. */
function table(heads, rows, words = 1) {
  const kind = (n) => (n < words ? null : "number");
  return h("table", { class: "plain figures" },
    h("thead", {}, h("tr", {}, heads.map((text, n) => h("th", { scope: "col", class: kind(n) }, text)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((text, n) => h(n ? "td" : "th", { scope: n ? null : "row", class: kind(n) }, text))))));
}

function showNext() {
  if (!found.advice.length) return;
  section("#next", { ul: found.advice.map((each) => h("li", {}, each.text, command(each.command, "the command"))) });
}

function showAccuracy() {
  const matrix = found.sessions.map((each) => each.held_out);
  const known = (line) => line.filter((value) => value !== null);
  const mean = (line) => known(line).reduce((sum, value) => sum + value, 0) / known(line).length;
  const points = (pick, what) => matrix.flatMap((line, n) => {
    const y = pick(line);
    return y === null || y === undefined || Number.isNaN(y) ? [] : [{ x: n + 1, y, title: `after session ${n + 1}${found.sessions[n].date && ` on ${found.sessions[n].date}`}`, text: `${what}: ${y.toFixed(1)} %` }];
  });
  const series = [
    { name: "mean of the sessions so far", look: lookOf(0), points: points(mean, "mean") },
    { name: "the session just learned", look: lookOf(1), points: points((line) => line[line.length - 1], "this session") },
  ].map((each) => ({ ...each, ...each.look, line: true, band: true })).filter((each) => each.points.length);
  if (!series.length) return;
  find("#accuracy").hidden = find("#keys").hidden = false;
  chart = new Chart(find("#accuracy .chart"));
  chart.show(series, { x: "session", y: "held-out accuracy, %", range: [0, 101], whole: true, form: String, label: "Held-out accuracy after each session" });
  find("#accuracy .legend").replaceChildren(...series.map((each) => h("span", {}, swatch(each.look), each.name)));
  const names = matrix.map((_, n) => String(n + 1));
  const shares = matrix.map((line) => names.map((_, j) => (line[j] === null || line[j] === undefined ? null : line[j] / 100)));
  const options = {
    caption: "Accuracy on the held-out images of each session (column) after each session (row), in %.",
    rows: names, columns: names, corner: "after session",
    text: (i, j) => (100 * shares[i][j]).toFixed(0),
    title: (i, j) => (shares[i][j] === null ? "no images" : `after session ${i + 1}, on session ${j + 1}: ${(100 * shares[i][j]).toFixed(1)} %`),
  };
  if (names.length > 1) find("#accuracy .matrix").replaceChildren(names.length <= SMALL ? heatTable(shares, options) : heatPicture(shares, options));
}

function showSessions() {
  if (!found.sessions.length) return;
  const rows = found.sessions.map((each) => [String(each.number), each.date || "–", breakable(each.source || "–"), breakable(each.new_classes.join(", ") || "–"), whole(each.images), each.level === null ? "–" : String(each.level), whole(each.steps), each.seconds.toFixed(0), each.flops.toPrecision(3)]);
  section("#sessions", { ".scroll": table(["session", "date", "images from", "new classes", "images", "level", "steps", "seconds", "FLOPs"], rows, 4) });
}

function showClasses() {
  const classes = measured ? measured.classes : found.classes.map((name) => ({ name }));
  if (!classes.length) return;
  const given = found && found.given.length ? found.given : null, buffer = found && found.buffer ? found.buffer.classes : null;
  const heads = ["class", given && "images learned or held out", measured && (found ? "held out" : "images"), measured && "recall, %", measured && "precision, %", buffer && "in the buffer"];
  const rows = classes.map((each, n) => [each.name, given && whole(given[n]), measured && whole(each.images), measured && share(each.recall), measured && share(each.precision), buffer && whole(buffer[n])]);
  const some = (cells) => cells.filter((_, n) => heads[n]);
  const notes = !measured ? [] : [
    measured.accuracy === null ? "No image is of a class that the learner knows." : `Accuracy ${share(measured.accuracy)} % on ${counted(measured.images, "image")}.`,
    measured.learned ? `The learner was given ${whole(measured.learned)} of them before${measured.accuracy_new === null ? "" : `; accuracy on the others is ${share(measured.accuracy_new)} %`}.` : "",
    measured.strangers.length ? `Not counted, because the learner does not know these classes: ${measured.strangers.map((each) => `${each.name} (${whole(each.images)}, mostly predicted as ${each.predicted})`).join(", ")}.` : "",
    measured.unreadable.length ? `${counted(measured.unreadable.length, "file")} could not be read.` : "",
  ];
  section("#classes", { ".note": notes.join(" "), ".scroll": table(some(heads), rows.map(some)) });
}

function showConfusions() {
  const some = measured.classes.filter((each) => each.images), names = measured.classes.map((each) => each.name);
  if (!some.length) return;
  const counts = new Map(measured.confusions.map((each) => [JSON.stringify([each.label, each.predicted]), each.images]));
  const number = (i, j) => (some[i].name === names[j] ? some[i].right : counts.get(JSON.stringify([some[i].name, names[j]])) || 0);
  const shares = some.map((each, i) => names.map((_, j) => number(i, j) / each.images));
  const options = {
    caption: "Share of the images of each class (row) that is predicted as each class (column), in %.",
    rows: some.map((each) => each.name), columns: names, corner: "class", blank: true,
    text: (i, j) => (100 * shares[i][j]).toFixed(0),
    title: (i, j) => `${some[i].name} predicted as ${names[j]}: ${number(i, j)} of ${some[i].images}`,
  };
  const most = measured.confusions.slice(0, 12).map((each) => h("li", {}, `${each.label} predicted as ${each.predicted}: ${counted(each.images, "image")}`));
  section("#confusions", { ".matrix": [names.length <= SMALL ? heatTable(shares, options) : heatPicture(shares, options), most.length ? h("ol", { class: "mistakes", "aria-label": "Most frequent confusions" }, most) : null] });
}

/** A picture with its file and a line about it. */
const figure = (picture, file, text) => h("figure", {}, picture ? h("img", { src: picture, alt: `${file}: ${text}`, loading: "lazy" }) : null, h("figcaption", {}, h("b", {}, text), " ", breakable(file)));

function showMistakes() {
  if (!measured.worst.length) return;
  section("#mistakes", { ".pictures": measured.worst.map((each) => figure(each.picture, each.file, `${each.label} predicted as ${each.predicted}, ${(100 * each.confidence).toFixed(0)} %`)) });
}

function showDrift() {
  const drift = found.drift;
  if (!drift) return;
  const verdict = drift.p < 0.05 ? "The images of the last session differ from earlier ones." : "The images of the last session do not differ from earlier ones more than by chance.";
  section("#drift", { ".note": `${verdict} Shift ${drift.shift.toFixed(2)} (0: no difference, about 1: nothing in common), p = ${Number(drift.p.toPrecision(2))}, ${counted(drift.images, "held-out image")} of the last session against ${whole(drift.held_out)} of earlier ones. Those that differ most come first.`, ".pictures": drift.moved.map((each) => figure(each.picture, each.file, `predicted as ${each.predicted}, distance ${each.distance.toFixed(2)}`)) });
}

function showHolds() {
  const held = found.buffer, opened = found.unfinished;
  const facts = [
    ["method", found.method], ["network", found.network], ["backbone", found.backbone], ["images", found.shape.join(" × ")],
    ["parameters", found.parameters && whole(found.parameters)], ["student's channels", found.student.join(" ")], ["teacher's channels", found.teacher.join(" ")],
    ["buffer", held && `${whole(held.images)} of ${whole(held.capacity)} images`],
    ["cost", `${found.seconds.toFixed(0)} s, ${found.flops.toPrecision(3)} FLOPs`],
    ["forgetting", found.forgetting === null ? "" : `${share(found.forgetting)} points`],
    ["forgotten", found.forgotten && `${counted(found.forgotten, "picture")} on request, last on ${found.forgotten_on}`],
    ["unfinished", opened && `a session${opened.source ? ` of ${opened.source}` : ""} ${opened.running ? "is running" : "was interrupted"} after ${counted(opened.steps, "step")}`],
  ];
  const sizes = (title, parts) => (parts.length ? [h("h3", {}, title), table(["part", "size"], [...parts.map((each) => [each.name, bytes(each.size)]), ["all", bytes(parts.reduce((sum, each) => sum + each.size, 0))]])] : []);
  section("#holds", {
    dl: facts.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ".sizes": [...sizes("Files on disk", found.disk), ...sizes("Tensors in memory", found.memory)],
  });
}

document.title = page.title;
find("#title").textContent = page.title;
if (found) {
  const last = found.sessions[found.sessions.length - 1];
  find("#about").textContent = [found.method, counted(found.sessions.length, "session"), counted(found.classes.length, "class").replace("classs", "classes"), last && measured && `held-out accuracy ${share(measured.accuracy)} %`].filter(Boolean).join(" · ");
  showNext();
  showAccuracy();
  showSessions();
} else find("#about").textContent = measured.source;
showClasses();
if (measured) {
  showConfusions();
  showMistakes();
}
if (found) {
  showDrift();
  showHolds();
}
startTheme();
