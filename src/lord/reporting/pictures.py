"""Draw accuracy against FLOPs, accuracy over the stream, and accuracy matrices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lord.evaluation import RunRecord
from lord.reporting.names import in_lines
from lord.reporting.rows import Row
from lord.storage import write_atomic

LINES = ("-", "--", ":")
COLUMNS = 5


def accuracy_against_flops(rows: Sequence[Row], file: Path) -> None:
    """Draw a curve over budgets for each variant, standard deviations, and the Pareto front."""
    figure = Figure(figsize=(7.2, 6), layout="constrained")
    axes = figure.subplots()
    curves: dict[str, list[Row]] = {}
    for row in rows:
        curves.setdefault(row.curve, []).append(row)
    points = {row.name: _point(row) for row in rows}
    for place, (curve, members) in enumerate(curves.items()):
        style = _style(place)
        places = np.array([points[row.name] for row in members])
        axes.errorbar(
            places[:, 0],
            places[:, 1],
            yerr=[row.spread(_headline) or 0 for row in members],
            marker="o",
            markersize=6,
            capsize=3,
            label=_wrapped(curve),
            **style,
        )
        for row in members:
            flops = [record.training_flops for record in row.records]
            accuracy = [record.headline[0] for record in row.records]
            axes.scatter(flops, accuracy, color=style["color"], s=10, alpha=0.35, linewidths=0)
    front = pareto_front(list(points.values()))
    axes.step(*zip(*front, strict=True), where="post", color="0.6", zorder=0, label="Pareto front")
    axes.set(xlabel="training FLOPs", ylabel="final Class-IL accuracy, %")
    spent = [flops for flops, _ in points.values()]
    if max(spent) > 4 * min(spent):
        axes.set_xscale("log")
    axes.grid(alpha=0.25, which="both")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    _write(figure, file)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the pairs of FLOPs and accuracy that no other pair beats in both, cheapest first.

    >>> pareto_front([(1, 50), (2, 40), (3, 60), (3, 55)])
    [(1, 50), (3, 60)]
    """
    front: list[tuple[float, float]] = []
    for flops, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or accuracy > front[-1][1]:
            front.append((flops, accuracy))
    return front


def accuracy_over_tasks(rows: Sequence[Row], file: Path) -> None:
    """Draw the mean Class-IL accuracy on the tasks seen, after each task.

    Bands are one standard deviation over seeds.
    """
    figure = Figure(figsize=(7.2, 6), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        style = _style(place)
        lines = np.array([[np.mean(line) for line in r.headline_matrix] for r in row.records])
        if lines.shape[1] == 1:  # joint training: one row for all tasks
            axes.axhline(lines.mean(), label=_wrapped(row.name), **style)
            continue
        tasks = np.arange(1, lines.shape[1] + 1)
        mean, deviation = lines.mean(0), lines.std(0, ddof=1) if len(lines) > 1 else 0
        axes.plot(tasks, mean, marker="o", markersize=4, label=_wrapped(row.name), **style)
        low, high = mean - deviation, mean + deviation
        axes.fill_between(tasks, low, high, color=style["color"], alpha=0.12)
        axes.set_xticks(tasks)
    axes.set(
        xlabel="tasks learned",
        ylabel="Class-IL accuracy on tasks seen, %",
        ylim=(0, 101),
    )
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    _write(figure, file)


def accuracy_matrices(rows: Sequence[Row], file: Path) -> None:
    """Draw a matrix for each variant: Class-IL accuracy after each task (row) on each (column)."""
    across, down = min(len(rows), COLUMNS), -(-len(rows) // COLUMNS)
    figure = Figure(figsize=(1.2 + 2.6 * across, 3.1 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for panel in panels[len(rows) :]:
        panel.set_axis_off()
    for panel, row in zip(panels, rows, strict=False):
        mean = np.mean([_square(record.headline_matrix) for record in row.records], axis=0)
        shown = panel.imshow(mean, vmin=0, vmax=100, cmap="viridis")
        if mean.shape[1] <= 10:
            _write_values(panel, mean)
        panel.set_title("\n".join(in_lines(row.name, 30)), size=9)
        panel.set(xlabel="on task")
        panel.set_xticks(range(mean.shape[1]), [str(j + 1) for j in range(mean.shape[1])])
        panel.set_yticks(range(mean.shape[0]), [str(i + 1) for i in range(mean.shape[0])])
    panels[0].set_ylabel("after task")
    figure.colorbar(shown, ax=panels, shrink=0.8, label="Class-IL, %")
    _write(figure, file)


def _write_values(panel: Axes, mean: np.ndarray) -> None:
    """Write each value into its cell, in a colour with enough contrast."""
    for i, j in zip(*np.nonzero(~np.isnan(mean)), strict=True):
        ink = "white" if mean[i, j] < 60 else "black"
        panel.text(j, i, f"{mean[i, j]:.0f}", ha="center", va="center", color=ink, size=8)


def _square(matrix: list[list[float]]) -> np.ndarray:
    """Fill ragged rows with NaN."""
    width = len(matrix[-1])
    return np.array([row + [np.nan] * (width - len(row)) for row in matrix])


def _headline(record: RunRecord) -> float:
    return record.headline[0]


def _wrapped(label: str) -> str:
    """Break a name into lines short enough for a legend of two columns."""
    return "\n".join(in_lines(label, 42))


def _point(row: Row) -> tuple[float, float]:
    return row.mean(lambda r: r.training_flops) or 0.0, row.mean(_headline) or 0.0


def _style(place: int) -> dict[str, Any]:
    """Return one of ten colours; after ten, the line style changes."""
    colour = colormaps["tab10"](place % 10)
    return {"color": colour, "linestyle": LINES[place // 10 % len(LINES)]}


def _write(figure: Figure, file: Path) -> None:
    write_atomic(file, lambda draft: figure.savefig(draft, dpi=150, format=file.suffix[1:]))
