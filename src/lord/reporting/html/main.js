"use strict";
// Puts the page together, and asks for newer data where it is served.

const THEMES = { "": "theme: system", light: "theme: light", dark: "theme: dark" };
const INTERVAL = 2000;

/** Replace part of the page; what had the focus has it afterwards. */
function keepingFocus(change) {
  const key = document.activeElement && document.activeElement.dataset.key;
  change();
  if (!key || document.activeElement !== document.body) return;
  const same = [...document.querySelectorAll("[data-key]")].find((element) => element.dataset.key === key);
  if (same) same.focus({ preventScroll: true });
}

function showControls() {
  const set = (name) => (value) => {
    state[name] = value;
    render();
  };
  find("#controls").replaceChildren(
    segments("Accuracy", MEASURES, state.measure, set("measure")), segments("Cost", COSTS, state.cost, set("cost")),
    segments("Statistics", STATISTICS, state.statistics, set("statistics")), segments("Interval", INTERVALS, state.interval, set("interval")));
}

function showHead() {
  const { study: made, runs } = study();
  document.title = `${page.title}: runs`;
  find("#title").textContent = page.studies.length > 1 ? study().name : page.title;
  const done = finished().length, seeds = [...new Set(runs.map((run) => run.seed))].sort((p, q) => p - q);
  const streams = [...new Set(runs.map((run) => run.preset))].sort();
  const kinds = families().length;
  const parts = [streams.join(", "), kinds === groups(runs).length ? `${kinds} methods` : `${kinds} methods, ${groups(runs).length} budgets`, `${done} finished runs`,
    runs.length > done ? `${runs.length - done} in progress` : null, seeds.length > 6 ? `${seeds.length} seeds` : `seeds ${seeds.join(", ")}`];
  find("#about").textContent = runs.length ? parts.filter(Boolean).join(" · ") : "No runs here yet.";
  find("#convention").textContent = page.convention;
  find("#studies").hidden = page.studies.length < 2;
  find("#study").replaceChildren(...page.studies.map((each, n) => h("option", { value: String(n), selected: n === state.study }, `${each.name} (${each.runs.length})`)));
  const facts = made ? [["commit", made.commits], ["versions", made.versions], ["on", made.machines], ["from", made.dates.slice(0, 1)], ["to", made.dates.slice(-1)]] : [];
  const list = facts.filter(([, values]) => values.length).map(([name, values]) => [h("dt", {}, name), h("dd", {}, values.join("; "))]);
  const open = Boolean(find("#origin details[open]"));
  find("#origin").replaceChildren(...(made ? [h("details", { open }, h("summary", {}, "How it was made"),
    command(made.command, "the command of this study"), h("dl", {}, list.flat()))] : []));
}

/** Show everything as chosen. */
function render() {
  showHead();
  const some = study().runs.length > 0, done = finished().length > 0;
  for (const name of ["#stream", "#runs", "#chosen", "#controls"]) find(name).hidden = !some;
  find("#front").hidden = !done;
  keepingFocus(() => {
    showProgress();
    if (done) showFront();
    if (some) showStream();
    showSpent();
  });
  showChosen();
  showTable();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  colours.clear();
  find("#theme").textContent = THEMES[theme];
  for (const chart of Object.values(charts)) if (chart.u) chart.make(); // axes have colours of their own
  if (charts.front.u) showChosen();
}

function remembered() {
  try {
    return localStorage.getItem("lord-theme") || "";
  } catch {
    return "";
  }
}

async function ask() {
  const said = find("#live");
  try {
    const answer = await fetch("data.json", { cache: "no-cache" });
    if (!answer.ok) throw new Error(await answer.text());
    const text = await answer.text();
    said.className = "live";
    said.textContent = `live, ${new Date().toLocaleTimeString()}`;
    if (text !== ask.last) {
      const name = study().name;
      page = JSON.parse(text);
      state.study = Math.max(page.studies.findIndex((each) => each.name === name), 0);
      render();
      ask.last = text;
    }
  } catch {
    said.className = "live gone";
    said.textContent = "no longer served";
  }
  setTimeout(ask, INTERVAL);
}

find("#theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme || "") + 1) % names.length];
  try {
    localStorage.setItem("lord-theme", next);
  } catch { /* then it lasts as long as the page */ }
  setTheme(next);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(document.documentElement.dataset.theme || ""));
find("#filter").addEventListener("input", (event) => {
  state.filter = event.target.value.trim();
  showTable();
});
find("#more").addEventListener("click", () => {
  state.all = true;
  showTable();
});
find("#study").addEventListener("change", (event) => {
  Object.assign(state, { study: Number(event.target.value), a: undefined, b: undefined, hidden: new Set() });
  charts.front.zoomed = charts.stream.zoomed = false;
  render();
});
setTheme(remembered());
showControls();
render();
if (LIVE) {
  find("#live").hidden = false;
  ask();
}
