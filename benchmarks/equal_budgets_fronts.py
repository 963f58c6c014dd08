"""Draw the accuracy of all methods of ``equal_budgets.py`` against FLOPs, seconds and bytes.

    python benchmarks/equal_budgets_fronts.py results/equal-budgets fronts.svg

A row of charts for each stream with a study in the folder. Bars are one standard deviation over
seeds. The grey line joins the points that no other point beats in both accuracy and cost.

The seconds are those of training steps, on a machine that does nothing else. ``equal_budgets.py
--steps`` measures the median step of the second task, into a file ``steps*.json`` of the stream's
folder. Its seconds per FLOP are multiplied by the FLOPs of the run, without those of recomputed
statistics. Methods and streams that were not timed are left out.
"""

import argparse
import re
import statistics
from pathlib import Path
from typing import Any

from equal_budgets import METHODS, STREAMS
from equal_budgets_records import Cost, cells_of, headline, seconds_of
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lord.reporting.pictures import pareto_front

MARKS = "osD^vP*XphH8"
TITLES = ("training FLOPs, in 10¹²", "seconds of training steps", "MB kept")
Points = dict[str, list[tuple[float, list[float]]]]
"""Method -> mean cost and accuracies of each budget."""


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
            marker=MARKS[place % len(MARKS)],
            color=colormaps["tab20"](place % 20),
            capsize=2,
            elinewidth=1,
        )
    means = [(cost, statistics.fmean(v)) for places in points.values() for cost, v in places]
    if means:
        axes.step(*zip(*pareto_front(means), strict=True), where="post", color="0.75", zorder=0)
        axes.set_xlim(0, 1.05 * max(cost for cost, _ in means))
    else:
        axes.text(0.5, 0.5, "not timed", transform=axes.transAxes, ha="center", color="0.5")
    axes.grid(alpha=0.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    streams = [name for name in STREAMS if (given.folder / name).is_dir()]
    figure = Figure(figsize=(10, 0.6 + 2.8 * len(streams)), layout="constrained")
    panels = figure.subplots(len(streams), len(TITLES), squeeze=False, sharey="row")
    legend: dict[str, Any] = {}
    for row, name in zip(panels, streams, strict=True):
        stream, folder = STREAMS[name], given.folder / name
        costs: tuple[Cost, ...] = (
            lambda record: record.training_flops / 1e12,
            seconds_of(folder),
            lambda record: record.state_bytes / 1e6,
        )
        for axes, cost in zip(row, costs, strict=True):
            draw(axes, points_of(folder, stream.tasks, stream.lowest, cost))
            handles, labels = axes.get_legend_handles_labels()
            legend |= dict(zip(labels, handles, strict=True))
        row[0].set_ylabel(f"{name}: Class-IL, %")
    for axes, title in zip(panels[-1], TITLES, strict=True):
        axes.set_xlabel(title)
    labels = [method for method in METHODS if method in legend]
    handles = [legend[method] for method in labels]
    shown = (re.sub(r":(?!width|network)[^:]*", "", label) for label in labels)
    names = [each.replace(":network=", ", ").replace(":width=", ", width ") for each in shown]
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "fronts"}):
        figure.savefig(given.picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
