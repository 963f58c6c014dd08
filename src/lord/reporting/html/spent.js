"use strict";
// FLOPs and time by part of the work: a bar for each variant, as a mean over seeds.

const PART_COLOURS = { step: "--c0", search: "--c3", recompute: "--c2", evaluate: "--c9", rest: "--grid" };

function showSpent() {
  const shown = visibleGroups(finished());
  find("#spent").hidden = !shown.length;
  const units = ["flops", "seconds"];
  const sums = shown.map((group) => Object.fromEntries(units.map((unit) => {
    const each = group.runs.map((run) => partsOf(run, unit));
    return [unit, Object.fromEntries(Object.keys(PARTS).map((part) => [part, mean(each.map((own) => own[part]))]))];
  })));
  const total = (parts) => Object.values(parts).reduce((one, other) => one + other, 0);
  const most = Object.fromEntries(units.map((unit) => [unit, Math.max(...sums.map((sum) => total(sum[unit])), 1e-9)]));
  find("#spent .legend").replaceChildren(...Object.entries(PARTS).map(([part, text]) =>
    h("span", {}, h("i", { class: "swatch", style: { background: `var(${PART_COLOURS[part]})`, border: "1px solid var(--line)" } }), text)));
  const bar = (parts, unit) => {
    const said = Object.entries(parts).filter(([, value]) => value > 0)
      .map(([part, value]) => `${PARTS[part]} ${show(value, unit)} (${(100 * value / total(parts)).toFixed(1)} %)`);
    return h("div", { class: "bar", title: said.join("\n") },
      h("div", { class: "track", role: "img", "aria-label": said.join(", ") }, Object.entries(parts).map(([part, value]) =>
        h("i", { style: { width: `${100 * value / most[unit]}%`, background: `var(${PART_COLOURS[part]})` } }))),
      h("span", { class: "total" }, show(total(parts), unit)));
  };
  find("#spent .bars").replaceChildren(
    ...["variant", "FLOPs", "time"].map((text) => h("div", { class: "head" }, text)),
    ...shown.flatMap((group, n) => [h("div", { class: "name", title: group.about || null }, breakable(group.label)), ...units.map((unit) => bar(sums[n][unit], unit))]));
}
