"use strict";
// One run, or two runs side by side.

const FIGURES = [
  ["Class-IL", (r) => r.class_il, "percent"], ["Task-IL", (r) => r.task_il, "percent"],
  ["Class-IL, recomputed", (r) => r.class_il_recomputed, "percent"], ["Task-IL, recomputed", (r) => r.task_il_recomputed, "percent"],
  ["forgetting", (r) => r.forgetting, "percent", true], ["average incremental", (r) => r.average_incremental, "percent"],
  ["backward transfer", (r) => r.backward_transfer, "percent"], ["forward transfer, Class-IL", (r) => r.forward_transfer_class_il, "percent"],
  ["forward transfer, Task-IL", (r) => r.forward_transfer, "percent"], ["top-5", (r) => r.top5, "percent"],
  ["calibration error", (r) => r.calibration, "percent", true], ["bias to newest", (r) => r.recency, "percent", true],
  ["training FLOPs", (r, run) => costOf(run, "flops"), "flops", true], ["FLOPs not counted", (r, run) => (misses(run) ? 100 * r.uncounted : null), "percent", true], ["training time", (r, run) => costOf(run, "seconds"), "seconds", true],
  ["parameters", (r) => r.params, "count", true], ["state", (r) => r.state_bytes, "bytes", true], ["buffer", (r) => r.buffer_bytes, "bytes", true], ["peak memory", (r) => r.peak_bytes, "bytes", true],
];

let losses = [];

/** Choose a run as A, or as B. */
function choose(name, other) {
  state[other ? "b" : "a"] = name;
  showChosen();
  showTable();
}

function showChosen() {
  const order = sorted(study().runs), a = runOf(state.a) || order[0];
  // First the best run as A and the best run of another variant as B; null means no B.
  if (a && state.b === undefined) state.b = order.filter((run) => run.curve !== a.curve).map((run) => run.name)[0] || null;
  const b = runOf(state.b);
  find("#chosen").hidden = !a;
  if (!a) return;
  state.a = a.name;
  losses = [];
  keepingFocus(() => {
    const panes = [pane("a", a, b), pane("b", b, a)];
    find("#chosen .pair").style.setProperty("--parts", Math.max(...panes.map((each) => each.children.length)));
    find("#chosen .pair").replaceChildren(...panes);
    find("#chosen .differences").replaceChildren(...(b ? differences(a, b) : []));
  });
  for (const draw of losses) draw(); // charts need a width
}

function pane(letter, run, other) {
  const name = letter.toUpperCase();
  const none = letter === "b" ? [h("option", { value: "" }, "none (choose a run to compare)")] : [];
  const select = h("select", {
    "aria-label": `Run ${name}`, "data-key": `run ${letter}`,
    onchange: (event) => choose(event.target.value || null, letter === "b"),
  }, none, study().runs.map((own) => h("option", { value: own.name, selected: run === own }, runName(own))));
  const head = h("div", { class: "pick-run" }, h("span", { class: "badge", "aria-hidden": "true" }, name), select);
  if (!run) return h("div", { class: "pane" }, head);
  const part = (title, content) => h("div", {}, ...(content ? [h("h3", {}, title), content] : []));
  const parts = [
    h("div", {}, command(run.command, `the command of run ${name}`), figures(run, letter === "b" ? other : null)),
    part("Accuracy matrix", accuracyMatrix(run)),
    part("Confusion matrix", run.classes ? confusionOf(run) : run.light ? left(run) : null),
    part("Images in the buffer at the end, by class", run.classes ? thumbnailsOf(run) : null),
    part("Loss", run.losses.length > 1 ? lossChart(run) : null),
  ];
  return h("div", { class: "pane", "data-run": letter }, head, parts);
}

const left = (run) => h("p", { class: "empty" }, `Left out to keep this page small. To see it, make a page of the folder ${run.name}.`);

function figures(run, base) {
  if (!run.record) {
    return h("p", { class: "empty" }, `${run.state === "running" ? "In progress: " : ""}${statusOf(run)}, step ${run.step}.${run.error ? ` ${run.error}` : ""}`);
  }
  const rows = FIGURES.map(([text, pick, form, lower]) => {
    const value = pick(run.record, run);
    if (value === null || value === undefined) return [];
    const other = base && base.record ? pick(base.record, base) : null;
    return [h("dt", {}, text), h("dd", {}, show(value, form), other === null || other === undefined ? null : gap(value, other, form, lower))];
  });
  return h("dl", { class: "facts" }, rows.flat());
}

/** The difference to run A: in percentage points, or as a multiple. */
function gap(value, other, form, lower) {
  if (value === other || (form !== "percent" && !other)) return null;
  const better = lower ? value < other : value > other;
  const text = form === "percent" ? `${value > other ? "+" : "−"}${Math.abs(value - other).toFixed(1)}` : `× ${Number((value / other).toPrecision(3))}`;
  if (text === "× 1" || /^.0\.0$/.test(text)) return null;
  return h("span", { class: better ? "up" : "down" }, ` (${text} vs A)`);
}

function lossChart(run) {
  const place = h("div", { class: "chart" });
  losses.push(() => {
    const points = run.losses.map(([step, loss]) => ({ x: step, y: loss, title: `step ${step}`, text: `loss ${loss.toPrecision(3)}` }));
    new Chart(place, null).show([{ name: "loss", colour: "--accent", line: true, points, width: 1.4 }],
      { x: "step", y: "loss", log: false, form: (value) => si(value).trim(), label: `Loss of ${runName(run)} over steps` });
  });
  return place;
}

function differences(a, b) {
  const all = (run) => ({ ...run.settings, ...Object.fromEntries(Object.entries(run.environment).filter(([name]) => ["commit", "torch", "processor", "device"].includes(name))) });
  const [one, other] = [all(a), all(b)];
  const text = (value) => (value === undefined || value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])].filter((name) => text(one[name]) !== text(other[name]));
  if (!names.length) return [h("h3", {}, "Settings that differ"), h("p", { class: "empty" }, "None.")];
  return [h("h3", {}, "Settings that differ"), h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, ["setting", "A", "B"].map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, names.map((name) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, text(one[name])), h("td", {}, text(other[name]))))))];
}
