"use strict";
// The two charts of a study: accuracy against cost, and accuracy over the stream.

const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [4, 4], [12, 4]];

const charts = {
  front: new Chart(find("#front .chart"), (point, other) => choose(point.run.name, other)),
  stream: new Chart(find("#stream .chart"), (point, other) => choose(point.run.name, other)),
};

const intervalText = () => (state.interval === "sd" ? "standard deviation" : "95 % interval");

function visibleGroups(runs) {
  return groups(runs).filter((group) => !state.hidden.has(group.curve));
}

function showFront() {
  const title = `${MEASURES[state.measure]} accuracy against ${COST_TITLES[state.cost]}`;
  find("#front-title").textContent = title;
  const lines = new Map(), means = [];
  for (const group of visibleGroups(finished())) {
    const runs = group.runs.filter((run) => finalOf(run) !== null && costOf(run) > 0);
    if (!runs.length) continue;
    const accuracy = spread(runs.map((run) => finalOf(run))), spent = mean(runs.map((run) => costOf(run)));
    const text = [`${MEASURES[state.measure]} ${accuracy.mean.toFixed(1)}${runs.length > 1 ? ` ± ${accuracy.reach.toFixed(1)}` : ""} %`,
      show(spent, state.cost), runs.length > 1 ? `${runs.length} seeds, ± ${intervalText()}` : runName(runs[0])].join("\n");
    const point = { x: spent, y: accuracy.mean, reach: accuracy.reach, title: group.label, text, run: runs[0] };
    if (!lines.has(group.curve)) lines.set(group.curve, { name: group.curve, curve: group.curve, ...look(group.curve), line: true, points: [] });
    const { points } = lines.get(group.curve);
    points.push(point);
    means.push(point);
    if (runs.length < 2) continue;
    points.push(...runs.map((run) => ({
      x: costOf(run), y: finalOf(run), small: true, run, title: group.label,
      text: `seed ${run.seed}\n${MEASURES[state.measure]} ${finalOf(run).toFixed(1)} %\n${show(costOf(run), state.cost)}`,
    })));
  }
  const series = [...lines.values()];
  for (const each of series) each.points.sort((p, q) => p.x - q.x);
  const spent = means.map((point) => point.x);
  const front = paretoFront(means).map(({ x, y }) => ({ x, y }));
  if (front.length) front.push({ ...front[front.length - 1], x: Math.max(...spent) });
  charts.front.show([{ name: "front", colour: "--front", dash: [4, 4], width: 1.4, steps: true, line: true, points: front }, ...series], {
    x: COST_TITLES[state.cost], y: `${MEASURES[state.measure]}, %`, percent: true, form: (value) => si(value).trim(),
    log: Math.max(...spent) > 4 * Math.min(...spent), label: `${title}: ${means.length} variants and budgets. Arrow keys move between them.`,
  });
  showLegend();
  find("#training").textContent = study().training ? `All rows: ${study().training}.` : "";
  find("#warnings").replaceChildren(...study().warnings.map((text) => h("li", {}, coded(text))));
}

function showLegend() {
  for (const section of ["front", "stream"]) find(`#${section} .legend`).replaceChildren(...curves().map((curve) => {
    const set = (name) => Object.values(charts).forEach((chart) => chart.emphasise(name));
    return h("button", {
      type: "button", "aria-pressed": String(!state.hidden.has(curve)), "data-key": `legend ${section} ${curve}`, title: aboutOf(curve) || null,
      onclick: () => {
        if (!state.hidden.delete(curve)) state.hidden.add(curve);
        set(null);
        render();
      },
      onpointerenter: () => set(curve), onpointerleave: () => set(null), onfocus: () => set(curve), onblur: () => set(null),
    }, swatch(look(curve)), breakable(curve));
  }));
  showVariants();
}

/** All settings of the variants whose short names leave some out. */
function showVariants() {
  const named = groups(study().runs).filter((group) => !group.whole);
  find("#variants").hidden = !named.length;
  find("#variants table").replaceChildren(
    h("thead", {}, h("tr", {}, ["variant", "settings"].map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, named.map((group) => h("tr", {}, h("th", { scope: "row" }, breakable(group.label)), h("td", {}, group.about)))));
}

function showStream() {
  const title = `${MEASURES[state.measure]} accuracy over the stream`;
  find("#stream-title").textContent = title;
  const known = study().runs.filter((run) => matrixOf(run) && matrixOf(run).length);
  const longest = Math.max(1, ...known.map((run) => matrixOf(run).length), ...known.map((run) => matrixOf(run)[0].length));
  const counts = new Map();
  const series = [];
  const done = visibleGroups(known.filter((run) => run.record)).map((group) => ({ ...group, going: false }));
  const going = visibleGroups(known.filter((run) => !run.record)).map((group) => ({ ...group, going: true }));
  for (const group of [...done, ...going]) {
    const place = counts.get(group.curve) || 0;
    counts.set(group.curve, place + 1);
    const rows = group.runs.map((run) => matrixOf(run).map(mean));
    const joint = !group.going && rows[0].length === 1 && longest > 1;
    const at = (task) => spread(rows.filter((row) => row.length > task).map((row) => row[task]));
    const seeds = (task) => rows.filter((row) => row.length > task).length;
    const tasks = joint ? [0, longest - 1] : Array.from({ length: Math.max(...rows.map((row) => row.length)) }, (_, task) => task);
    series.push({
      name: group.label, curve: group.curve, ...look(group.curve), line: true, band: true,
      dash: group.going ? [1, 4] : joint ? [2, 4] : DASHES[place % DASHES.length],
      points: tasks.map((task) => {
        const own = at(joint ? 0 : task);
        const many = seeds(joint ? 0 : task);
        return {
          x: task + 1, y: own.mean, reach: own.reach, title: group.label + (group.going ? `, ${group.runs.map(statusOf).join("; ")}` : ""), run: group.runs[0],
          text: `${joint ? "trained on all tasks at once" : `after task ${task + 1}`}: ${own.mean.toFixed(1)}${many > 1 ? ` ± ${own.reach.toFixed(1)}` : ""} %\n${many} seed${many > 1 ? "s" : ""}`,
        };
      }),
    });
  }
  charts.stream.show(series, {
    x: "tasks learned", y: `${MEASURES[state.measure]} on tasks seen, %`, percent: true, log: false, whole: true,
    form: String, label: `${title}: ${series.length} lines. Arrow keys move between their points.`,
  });
}
