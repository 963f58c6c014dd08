"""Accuracy against FLOPs, accuracy over the stream, and accuracy matrices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lord.reporting.tables import Row

COLOURS = [
    "#d1495b",
    "#00798c",
    "#edae49",
    "#66a182",
    "#5b5f97",
    "#8d6a9f",
    "#2e4057",
    "#a3a3a3",
]


def accuracy_against_flops(rows: Sequence[Row], file: Path) -> None:
    """A point a method, with one standard deviation over seeds, and its single runs."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for colour, row in zip(_colours(rows), rows, strict=True):
        flops = [record.training_flops for record in row.records]
        accuracy = [record.headline[0] for record in row.records]
        axes.scatter(flops, accuracy, color=colour, s=14, alpha=0.45, linewidths=0)
        axes.errorbar(
            float(np.mean(flops)),
            float(np.mean(accuracy)),
            yerr=float(np.std(accuracy, ddof=1)) if len(accuracy) > 1 else None,
            color=colour,
            marker="o",
            markersize=8,
            capsize=4,
            label=row.method,
        )
        axes.annotate(
            row.method,
            (float(np.mean(flops)), float(np.mean(accuracy))),
            xytext=(9, 7),
            textcoords="offset points",
            color=colour,
            fontweight="bold",
        )
    axes.set(xlabel="training FLOPs", ylabel="final Class-IL accuracy, %")
    axes.margins(y=0.16)
    axes.set_xlim(0, 1.18 * max(r.training_flops for row in rows for r in row.records))
    axes.grid(alpha=0.25)
    _write(figure, file)


def accuracy_over_tasks(rows: Sequence[Row], file: Path) -> None:
    """Mean Class-IL accuracy on the tasks seen, after each task; bands are one deviation."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for colour, row in zip(_colours(rows), rows, strict=True):
        lines = np.array([[np.mean(line) for line in r.headline_matrix] for r in row.records])
        if lines.shape[1] == 1:  # trained on all tasks at once
            axes.axhline(lines.mean(), color=colour, linestyle=":", label=row.method)
            continue
        tasks = np.arange(1, lines.shape[1] + 1)
        mean, deviation = lines.mean(0), lines.std(0, ddof=1) if len(lines) > 1 else 0
        axes.plot(tasks, mean, color=colour, marker="o", label=row.method)
        axes.fill_between(tasks, mean - deviation, mean + deviation, color=colour, alpha=0.15)
        axes.set_xticks(tasks)
    axes.set(
        xlabel="tasks learnt",
        ylabel="Class-IL accuracy on tasks seen, %",
        ylim=(0, 101),
    )
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    _write(figure, file)


def accuracy_matrices(rows: Sequence[Row], file: Path) -> None:
    """A square a method: Class-IL accuracy on each task (column) after each task (row)."""
    figure = Figure(figsize=(1.2 + 2.6 * len(rows), 3.1), layout="constrained")
    panels = figure.subplots(1, len(rows), squeeze=False)[0]
    for panel, row in zip(panels, rows, strict=True):
        matrices = [_square(record.headline_matrix) for record in row.records]
        mean = np.mean(matrices, axis=0)
        shown = panel.imshow(mean, vmin=0, vmax=100, cmap="viridis")
        if mean.shape[1] <= 10:
            for i, j in zip(*np.nonzero(~np.isnan(mean)), strict=True):
                ink = "white" if mean[i, j] < 60 else "black"
                panel.text(
                    j,
                    i,
                    f"{mean[i, j]:.0f}",
                    ha="center",
                    va="center",
                    color=ink,
                    size=8,
                )
        panel.set(title=row.method, xlabel="on task")
        panel.set_xticks(range(mean.shape[1]), [str(j + 1) for j in range(mean.shape[1])])
        panel.set_yticks(range(mean.shape[0]), [str(i + 1) for i in range(mean.shape[0])])
    panels[0].set_ylabel("after task")
    figure.colorbar(shown, ax=panels, shrink=0.8, label="Class-IL, %")
    _write(figure, file)


def _square(matrix: list[list[float]]) -> np.ndarray:
    width = len(matrix[-1])
    return np.array([row + [np.nan] * (width - len(row)) for row in matrix])


def _colours(rows: Sequence[Row]) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(len(rows))]


def _write(figure: Figure, file: Path) -> None:
    draft = file.with_name(f".{file.name}")
    figure.savefig(draft, dpi=150, format=file.suffix[1:])
    draft.replace(file)
