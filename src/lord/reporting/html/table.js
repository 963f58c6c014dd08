"use strict";
// The table of all runs, each with the command that repeats it.

const COLUMNS = {
  label: { text: "variant", word: true, value: (run) => run.row },
  seed: { text: "seed", value: (run) => run.seed },
  status: { text: "status", word: true, value: (run) => statusOf(run) },
  accuracy: { text: () => MEASURES[state.measure], value: (run) => finalOf(run), form: "points" },
  recomputed: {
    text: () => `${MEASURES[state.measure]} re`, form: "points",
    value: (run) => run.record && run.record[`${state.measure}_recomputed`],
  },
  forgetting: { text: "forgetting", value: (run) => run.record && run.record.forgetting, form: "points" },
  flops: { text: "training FLOPs", value: (run) => costOf(run, "flops"), form: "flops" },
  seconds: { text: "training time", value: (run) => costOf(run, "seconds"), form: "seconds" },
  uncounted: {
    text: "not counted", form: "percent", value: (run) => run.record && 100 * run.record.uncounted,
    shown: (runs) => runs.some(misses),
  },
  bytes: { text: "state", value: (run) => costOf(run, "bytes"), form: "bytes" },
  training: {
    text: "training", word: true, value: (run) => run.training, shown: (runs) => runs.some((run) => run.training),
  },
};

const UNCOUNTED = 0.01; // share of FLOPs that may be missed without a word
const misses = (run) => Boolean(run.record && run.record.uncounted >= UNCOUNTED);
const columns = () => Object.entries(COLUMNS).filter(([, column]) => !column.shown || column.shown(study().runs));

const ROWS = 100; // shown at first, because many rows take long to lay out
const words = new Intl.Collator("en", { numeric: true });
const DAY = 86400;
function ago(seconds) {
  if (seconds < 90) return `${Math.max(Math.round(seconds), 0)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 2 * DAY ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / DAY)} days ago`;
}

function statusOf(run) {
  if (run.record) return "finished";
  const place = run.tasks ? `task ${Math.min(run.task + 1, run.tasks)} of ${run.tasks}` : `task ${run.task + 1}`;
  return run.state === "running" ? place : `${run.state} in ${place}`;
}

/** Mean accuracy of a run in progress on the tasks seen. */
function accuracyNow(run) {
  const matrix = matrixOf(run);
  return matrix && matrix.length ? mean(matrix[matrix.length - 1]) : null;
}

function matches(run) {
  const text = [run.row, run.label, `seed ${run.seed} seed=${run.seed}`, run.preset, statusOf(run),
    ...Object.entries(run.settings).map(([name, value]) => `${name}=${value}`)].join(" ").toLowerCase();
  return state.filter.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function sorted(runs) {
  const { value } = COLUMNS[state.sort];
  const sign = state.down ? -1 : 1;
  return runs.map((run) => [value(run), run]).sort(([p], [q]) => {
    const [none, other] = [p === null || p === undefined, q === null || q === undefined];
    if (none || other) return none - other; // runs without a value come last in either direction
    return sign * (typeof p === "string" ? words.compare(p, q) : p - q);
  }).map(([, run]) => run);
}

function showTable() {
  const head = columns().map(([name, column]) => {
    const now = state.sort === name;
    const text = typeof column.text === "string" ? column.text : column.text();
    return h("th", { scope: "col", class: column.word ? "word" : null, "aria-sort": now ? (state.down ? "descending" : "ascending") : null },
      h("button", {
        type: "button", "data-key": `sort ${name}`,
        onclick: () => {
          state.down = now ? !state.down : !column.word;
          state.sort = name;
          showTable();
        },
      }, text, now ? (state.down ? " ↓" : " ↑") : ""));
  });
  const shown = sorted(study().runs.filter(matches));
  keepingFocus(() => find(".runs").replaceChildren(
    h("thead", {}, h("tr", {}, h("td", { class: "word" }, h("span", { class: "visually" }, "choice")), head, h("th", { scope: "col", class: "word" }, "command"))),
    h("tbody", {}, shown.slice(0, state.all ? Infinity : ROWS).map(row))));
  find("#more").hidden = state.all || shown.length <= ROWS;
  find("#count").textContent = shown.length === study().runs.length ? `${shown.length} runs` : `${shown.length} of ${study().runs.length} runs`;
}

function row(run) {
  const pick = (letter) => h("button", {
    type: "button", class: "pick", "data-key": `${letter} ${run.name}`, "aria-pressed": String(state[letter] === run.name),
    "aria-label": `Choose ${runName(run)} as ${letter.toUpperCase()}`, onclick: () => choose(run.name, letter === "b"),
  }, letter.toUpperCase());
  const cells = columns().map(([name, column]) => {
    const value = column.value(run);
    const text = column.form ? show(value, column.form) : value === null || value === undefined ? "–" : value;
    return h("td", { class: [name, column.word ? "word" : ""].join(" ").trim(), title: name === "label" ? run.about || null : run.error || null }, breakable(String(text)));
  });
  return h("tr", { class: state.a === run.name || state.b === run.name ? "picked" : null },
    h("td", { class: "word" }, pick("a"), pick("b")), cells,
    h("td", { class: "made" }, run.command
      ? h("div", {}, copyButton(run.command, `the command of ${runName(run)}`), h("code", { title: run.command }, run.command)) : "–"));
}

/** The runs in progress, each with a progress bar, and the runs that ended without a result. */
function showProgress() {
  const going = study().runs.filter((run) => run.state === "running");
  const ended = study().runs.filter((run) => !run.record && run.state !== "running");
  find("#ended").hidden = !ended.length;
  find("#ended ul").replaceChildren(...ended.map((run) => h("li", {}, h("b", {}, breakable(runName(run))),
    h("span", { class: "status" }, ` ${[statusOf(run), run.written ? `last entry ${ago(Date.now() / 1000 - run.written)}` : null].filter(Boolean).join(" · ")}`),
    run.error ? h("div", { class: "error" }, coded(run.error)) : null)));
  find("#progress").hidden = !going.length;
  find("#progress ul").replaceChildren(...going.map((run) => {
    const last = run.losses[run.losses.length - 1];
    const now = accuracyNow(run);
    const said = [statusOf(run), `step ${run.step}`, last ? `loss ${last[1].toPrecision(3)}` : null,
      now === null ? null : `${MEASURES[state.measure]} ${now.toFixed(1)} % on tasks seen`,
      run.written ? `last entry ${ago(Date.now() / 1000 - run.written)}` : "no entries yet"];
    return h("li", {}, h("b", {}, breakable(runName(run))),
      h("progress", { max: run.tasks || 1, value: run.tasks ? Math.min(run.task, run.tasks) : null, "aria-label": runName(run) }),
      h("span", { class: "status" }, said.filter(Boolean).join(" · ")));
  }));
}
