"""Draw the accuracy of all methods of ``equal_budgets.py`` against FLOPs, seconds and bytes.

    python benchmarks/equal_budgets_fronts.py results/equal-budgets docs/pictures/fronts.svg

A row of charts for each stream with a study in the folder. Bars are one standard deviation over
seeds. The grey line joins the points that no other point beats in both accuracy and cost.

The seconds are those of training steps alone on a machine that does nothing else. They are computed
from the run's FLOPs in each task and the median seconds of a step there, as ``lord bench --out
results/equal-budgets/steps.json`` measured them. Methods that it did not time are left out.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec
from equal_budgets import METHODS, STREAMS
from equal_budgets_page import cells_of, headline
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lord.bench import Bench
from lord.evaluation import RunRecord
from lord.reporting.pictures import pareto_front

MARKS = "osD^vP*XphH8"
Cost = Callable[[RunRecord], float | None]
Points = dict[str, list[tuple[float, list[float]]]]
"""Method -> mean cost and accuracies of each budget."""


def seconds_of(bench: Bench) -> Cost:
    """Return a function from a run to the seconds of its steps; None where they were not timed."""
    per_flop = {(step.method, step.task): step.seconds / step.flops for step in bench.steps}

    def seconds(record: RunRecord) -> float | None:
        name = record.label.split(":flops_per_task=")[0]
        spent = record.task_flops or []
        rates = [per_flop.get((name, task)) for task in range(len(spent))]
        if not spent or None in rates:
            return None
        return sum(flops * rate for flops, rate in zip(spent, rates, strict=True) if rate)

    return seconds


def points_of(folder: Path, tasks: int, lowest: float, cost: Cost) -> Points:
    """Return the points of a stream's methods."""
    points: Points = {}
    for (method, _), records in sorted(cells_of(folder, tasks, lowest).items()):
        costs = [cost(record) for record in records]
        known = [value for value in costs if value is not None]
        if method in METHODS and len(known) == len(records):
            values = list(map(headline, records))
            points.setdefault(method, []).append((statistics.fmean(known), values))
    return points


def draw(axes: Axes, points: Points) -> None:
    """Draw a curve for each method, and the front."""
    for method, places in points.items():
        place = METHODS.index(method)
        axes.errorbar(
            [cost for cost, _ in places],
            [statistics.fmean(values) for _, values in places],
            [statistics.stdev(values) if len(values) > 1 else 0 for _, values in places],
            label=method,
            marker=MARKS[place],
            color=f"C{place % 10}",
            capsize=2,
            elinewidth=1,
        )
    means = [(cost, statistics.fmean(v)) for places in points.values() for cost, v in places]
    if means:
        axes.step(*zip(*pareto_front(means), strict=True), where="post", color="0.75", zorder=0)
    axes.set_xscale("log")
    axes.grid(alpha=0.25, which="both")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    steps = given.folder / "steps.json"
    bench = msgspec.json.decode(steps.read_bytes(), type=Bench)
    costs: dict[str, Cost] = {
        "training FLOPs": lambda record: record.training_flops,
        "seconds of steps": seconds_of(bench),
        "MB kept": lambda record: record.state_bytes / 1e6,
    }
    streams = [name for name in STREAMS if (given.folder / name).is_dir()]
    figure = Figure(figsize=(10, 0.6 + 2.8 * len(streams)), layout="constrained")
    panels = figure.subplots(len(streams), len(costs), squeeze=False, sharey="row", sharex="col")
    legend = {}
    for row, name in zip(panels, streams, strict=True):
        for axes, cost in zip(row, costs.values(), strict=True):
            stream = STREAMS[name]
            draw(axes, points_of(given.folder / name, stream.tasks, stream.lowest, cost))
            handles, labels = axes.get_legend_handles_labels()
            legend |= dict(zip(labels, handles, strict=True))
        row[0].set_ylabel(f"{name}: Class-IL, %")
    for axes, title in zip(panels[-1], costs, strict=True):
        axes.set_xlabel(title)
    handles, labels = list(legend.values()), list(legend)
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "fronts"}):
        figure.savefig(given.picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
