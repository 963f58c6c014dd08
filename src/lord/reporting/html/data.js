"use strict";
// The data, the reader's choices, and the numbers computed from both.

let page = JSON.parse(document.getElementById("data").textContent);
const LIVE = document.body.dataset.live === "true";

const state = {
  study: 0, measure: "class_il", statistics: "headline", cost: "flops", interval: "sd",
  hidden: new Set(), a: undefined, b: undefined, sort: "accuracy", down: true, filter: "", all: false,
};

const MEASURES = { class_il: "Class-IL", task_il: "Task-IL" };
const STATISTICS = { headline: "headline", trained: "as trained", recomputed: "recomputed" };
const INTERVALS = { sd: "± s. d.", t: "95 %" };
const COSTS = { flops: "FLOPs", seconds: "seconds", bytes: "bytes" };
const COST_TITLES = { flops: "training FLOPs", seconds: "training seconds", bytes: "bytes of state" };
const PARTS = { step: "training steps", search: "teacher search", recompute: "recomputed statistics", evaluate: "evaluation", rest: "loading and other" };

const study = () => page.studies[Math.min(state.study, page.studies.length - 1)] || { name: "", runs: [] };
const runName = (run) => `${run.row}, seed ${run.seed}`;
const runOf = (name) => study().runs.find((run) => run.name === name) || null;
const finished = () => study().runs.filter((run) => run.record);

/** Whether the accuracies of a run are shown with recomputed statistics. */
function again(run) {
  if (state.statistics !== "headline") return state.statistics === "recomputed";
  const own = run.record ? run.record.statistics : run.settings.statistics;
  return own === "recomputed" && Boolean(run.matrices && run.matrices[`${state.measure}_recomputed`]);
}

/** The chosen accuracy after each task (row) on each task (column); null where there is none. */
const matrixOf = (run) => run.matrices && run.matrices[state.measure + (again(run) ? "_recomputed" : "")];
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const finalOf = (run, measure = state.measure) => (run.record ? run.record[measure + (again(run) ? "_recomputed" : "")] : null);

/** The cost of a run by part. The first three parts are training. */
function partsOf(run, unit) {
  const record = run.record;
  if (unit === "flops") {
    const { search_flops: search, recompute_flops: recompute } = record;
    return { step: record.training_flops - search - recompute, search, recompute, evaluate: record.eval_flops, rest: 0 };
  }
  const parts = { step: record.step_s, search: record.search_s, recompute: record.recompute_s, evaluate: record.eval_s };
  const sum = Object.values(parts).reduce((one, other) => one + other, 0);
  return { ...parts, rest: Math.max(record.wall_s - sum, 0) };
}

function costOf(run, unit = state.cost) {
  if (!run.record) return null;
  if (unit === "bytes") return run.record.state_bytes;
  const { step, search, recompute } = partsOf(run, unit);
  return step + search + recompute;
}

/** Mean of values, and half its interval. */
function spread(values) {
  const middle = mean(values);
  if (values.length < 2) return { mean: middle, reach: 0 };
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
  return { mean: middle, reach: deviation * (state.interval === "sd" ? 1 : page.reach[values.length - 2]) };
}

/** Groups of runs that differ only in the seed, in the order given. */
function groups(runs) {
  const found = new Map();
  for (const run of runs) {
    if (!found.has(run.row)) found.set(run.row, { label: run.row, about: run.about, whole: run.whole, curve: run.curve, runs: [] });
    found.get(run.row).runs.push(run);
  }
  return [...found.values()];
}

/** Names of the curves of this study, in an order that does not depend on the order of the runs. */
function curves() {
  const own = study();
  if (!curvesOf.has(own)) curvesOf.set(own, [...new Set(own.runs.map((run) => run.curve))].sort());
  return curvesOf.get(own);
}
const curvesOf = new WeakMap();
const look = (curve) => lookOf(curves().indexOf(curve));

/** The settings of a curve's variants, for a tooltip. */
const aboutOf = (curve) => [...new Set(study().runs.filter((run) => run.curve === curve).map((run) => run.about))].filter(Boolean).join("\n");

/** The points (cost, accuracy) that no other point beats in both, the cheapest first. */
function paretoFront(points) {
  const front = [];
  for (const point of [...points].sort((p, q) => p.x - q.x || q.y - p.y)) {
    if (!front.length || point.y > front[front.length - 1].y) front.push(point);
  }
  return front;
}

const PREFIXES = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
function si(value) {
  const [size, prefix] = PREFIXES.find(([least]) => Math.abs(value) >= least) || [1, ""];
  return `${Number((value / size).toPrecision(3))} ${prefix}`;
}
function clock(seconds) {
  if (seconds < 120) return `${Number(seconds.toPrecision(3))} s`;
  return seconds < 7200 ? `${Number((seconds / 60).toPrecision(3))} min` : `${Number((seconds / 3600).toPrecision(3))} h`;
}
const FORMS = {
  flops: (value) => `${si(value)}FLOPs`, seconds: clock, bytes: (value) => `${si(value)}B`,
  count: (value) => si(value).trim(), percent: (value) => `${value.toFixed(1)} %`, points: (value) => value.toFixed(1),
};
const show = (value, form) => (value === null || value === undefined ? "–" : FORMS[form](value));
