"use strict";
// Put the page together, and ask for new data where the page is served.

const INTERVAL = 2000;

/** Replace part of the page, and keep the keyboard focus. */
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

const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

function showHead() {
  const { study: made, runs } = study();
  document.title = `${page.title}: runs`;
  find("#title").textContent = page.studies.length > 1 ? study().name : page.title;
  const done = finished().length, seeds = [...new Set(runs.map((run) => run.seed))].sort((p, q) => p - q);
  const streams = [...new Set(runs.map((run) => run.preset))].sort();
  const kinds = curves().length;
  const parts = [streams.join(", "), counted(kinds, "variant") + (kinds === groups(runs).length ? "" : `, ${counted(groups(runs).length, "budget")}`), counted(done, "finished run"),
    ...["running", "failed", "stopped"].map((name) => {
      const number = runs.filter((run) => run.state === name).length;
      return number ? `${number} ${name === "running" ? "in progress" : name}` : null;
    }), seeds.length > 6 ? `${seeds.length} seeds` : `${seeds.length > 1 ? "seeds" : "seed"} ${seeds.join(", ")}`];
  find("#about").textContent = runs.length ? parts.filter(Boolean).join(" · ") : "No runs yet.";
  find("#convention").textContent = page.convention;
  find("#studies").hidden = page.studies.length < 2;
  find("#study").replaceChildren(...page.studies.map((each, n) => h("option", { value: String(n), selected: n === state.study }, `${each.name} (${each.runs.length})`)));
  const facts = made ? [["commit", made.commits], ["versions", made.versions], ["machine", made.machines], ["first run", made.dates.slice(0, 1)], ["last run", made.dates.slice(-1)]] : [];
  const list = facts.filter(([, values]) => values.length).map(([name, values]) => [h("dt", {}, name), h("dd", {}, values.join("; "))]);
  const open = Boolean(find("#origin details[open]"));
  find("#origin").replaceChildren(...(made ? [h("details", { open }, h("summary", {}, "Command, versions and machine"),
    command(made.command, "the command of this study"), h("dl", {}, list.flat()))] : []));
}

/** Show the whole page. */
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
    showClasses();
  });
  showChosen();
  showTable();
}

/** Draw the charts in the colours of the theme. */
function redraw() {
  for (const chart of Object.values(charts)) if (chart.u) chart.make(); // the axes take new colours
  if (charts.front.u) showChosen();
}

async function ask() {
  const said = find("#live");
  try {
    const answer = await fetch("data.json", { cache: "no-cache" });
    if (!answer.ok) throw new Error(await answer.text());
    const text = await answer.text();
    said.className = "live";
    said.textContent = `live, updated ${new Date().toLocaleTimeString()}`;
    if (text !== ask.last) {
      const name = study().name;
      page = JSON.parse(text);
      state.study = Math.max(page.studies.findIndex((each) => each.name === name), 0);
      render();
      ask.last = text;
    }
  } catch {
    said.className = "live gone";
    said.textContent = "connection lost";
  }
  setTimeout(ask, INTERVAL);
}

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
startTheme();
showControls();
render();
if (LIVE) {
  find("#live").hidden = false;
  ask();
}
