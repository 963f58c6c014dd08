"""Tables with a row for each variant: means and standard deviations over seeds."""

from collections.abc import Callable, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lord.reporting.budgets import missed_budgets
from lord.reporting.fairness import Trained, trained
from lord.reporting.names import full_name, in_lines
from lord.reporting.rows import Row, flops_of, reference_of
from lord.reporting.units import size

CONVENTION = (
    "Mean ± standard deviation over seeds; accuracies in %. "
    "FLOPs count every forward and backward pass of training, teacher search and the recomputing "
    "of statistics; a multiply-add is 2 FLOPs. Evaluation is not included. "
    "'re': with batch-norm statistics recomputed on the buffer. "
    "*: the accuracy that counts for the method (its headline)."
)
UNCOUNTED = 0.01
"""Share of the FLOPs that may be missed without a warning, such as small products."""
UNSHOWN = ("seeds", "forgetting", "state")
"""Columns that are only in the page."""
DROPPED = ("Task-IL\nre", "Class-IL\nre", "s", "ratio", "Task-IL")
"""Columns that a narrow terminal leaves out, in this order."""
NAME = 20
"""Characters of a name that stay in a line before columns are left out."""


def share_missed(row: Row) -> float:
    """Return the share of a row's FLOPs that is not counted."""
    return max(record.uncounted for record in row.records)


def _cells(rows: Sequence[Row], reference: Row, how: Trained) -> tuple[list[str], list[list[str]]]:
    """Return the head and the body of the table."""
    base = reference.mean(flops_of)
    plain = reference.name == reference.variant.method
    name = reference.name if plain else "reference"
    columns: dict[str, Callable[[Row], str]] = {
        "method": marked,
        "seeds": lambda row: str(len(row.records)),
        "Class-IL": lambda row: row.show(lambda r: r.class_il) + _star(row, "trained"),
        "Task-IL": lambda row: row.show(lambda r: r.task_il),
        "Class-IL re": lambda row: (
            row.show(lambda r: r.class_il_recomputed) + _star(row, "recomputed")
        ),
        "Task-IL re": lambda row: row.show(lambda r: r.task_il_recomputed),
        "forgetting": lambda row: row.show(lambda r: r.forgetting),
        "training FLOPs": lambda row: f"{row.mean(flops_of) or 0:.3g}",
        f"of {name}": lambda row: f"{(row.mean(flops_of) or 0) / base:.3f}" if base else "-",
        "seconds": lambda row: f"{row.mean(lambda r: r.wall_s):.0f}",
        "state": lambda row: size(row.mean(lambda r: r.state_bytes) or 0),
    }
    if any(share_missed(row) >= UNCOUNTED for row in rows):
        columns["not counted"] = lambda row: f"{share_missed(row):.0%}"
    if how.each:
        columns["training"] = lambda row: how.each[row.name]
    return list(columns), [[show(row) for show in columns.values()] for row in rows]


def marked(row: Row) -> str:
    """Return a row's name, with a mark if its runs start from pretrained weights."""
    return row.name + (" (P)" if row.records[0].pretrained else "")


def pretrained(rows: Sequence[Row]) -> str | None:
    """Say what pretrained rows start from, and the FLOPs that are not counted; None without any."""
    known = {r.pretrained: r.pretraining_flops for row in rows for r in row.records if r.pretrained}
    if not known:
        return None
    parts = [f"{name}, {'unknown' if f is None else f'about {f:.1g}'}" for name, f in known.items()]
    return (
        "(P) starts from pretrained weights. The FLOPs of pretraining are not counted: "
        f"{'; '.join(parts)}."
    )


def _star(row: Row, statistics: str) -> str:
    """Mark the accuracy that counts for a row's method."""
    return "*" if row.records[0].statistics == statistics else ""


def legend(rows: Sequence[Row]) -> list[list[str]]:
    """Return name and settings of each row with settings that its name leaves out."""
    return [[row.name, row.variant.about] for row in rows if row.name != full_name(row.variant)]


def grid(head: Sequence[str], body: Sequence[Sequence[str]], numbers: bool = True) -> str:
    """Return a Markdown table.

    Args:
        head: names of the columns.
        body: the cells of each row.
        numbers: align all columns except the first right.
    """
    rule = ["---"] + ["---:" if numbers else "---"] * (len(head) - 1)
    lines = ([cell.replace("|", r"\|") for cell in cells] for cells in (head, rule, *body))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def markdown(rows: Sequence[Row], reference: Row | None = None) -> str:
    """Return the table as Markdown, with its convention, warnings and the settings of variants."""
    how = trained(rows)
    parts = [grid(*_cells(rows, reference or reference_of(rows), how)), CONVENTION]
    parts += [f"All rows: {how.shared}."] if how.shared else []
    warnings = (*_warnings(rows, how), *warned(rows))
    parts += [f"**{warning}**" for warning in warnings if warning]
    if shown := legend(rows):
        parts.append(grid(["variant", "settings"], shown, numbers=False))
    return "\n\n".join(parts)


def missing(rows: Sequence[Row]) -> str | None:
    """Return a warning if not all FLOPs are counted, else None."""
    shares = {row.name: share_missed(row) for row in rows}
    if max(shares.values(), default=0) < UNCOUNTED:
        return None
    missed = ", ".join(f"{name} {s:.0%}" for name, s in shares.items() if s >= UNCOUNTED)
    return (
        "FLOPs leave out operators without a formula, such as element-wise ones. "
        f"Missing share of a step's operations: {missed}."
    )


def notes(rows: Sequence[Row]) -> list[str]:
    """Return what to know about a table for a terminal: training, warnings, settings of variants.

    Rows that are trained alike share a line.
    """
    how = trained(rows)
    lines = [f"All rows: {how.shared}."] if how.shared else []
    alike: dict[str, list[str]] = {}
    for name, words in how.each.items():
        alike.setdefault(words, []).append(name)
    lines += ["Training:"] if alike else []
    lines += [f"  {', '.join(names)}: {words or 'not known'}" for words, names in alike.items()]
    settings = [f"  {name}: {words}" for name, words in legend(rows)]
    lines += ["Settings of variants:", *settings] if settings else []
    return lines + [warning for warning in _warnings(rows, how) if warning]


def _warnings(rows: Sequence[Row], how: Trained) -> tuple[str | None, ...]:
    return how.warning, missing(rows), missed_budgets(rows), pretrained(rows)


def warned(rows: Sequence[Row]) -> list[str]:
    """Return the warnings of the runs, each with the name of its row."""
    found = [f"{row.name}: {text}." for row in rows for r in row.records for text in r.warnings]
    return list(dict.fromkeys(found))


def terminal(rows: Sequence[Row], width: int = 80, reference: Row | None = None) -> Table:
    """Return the table for a terminal.

    Args:
        rows: a row for each variant.
        width: characters in a line of the terminal. A narrow one gets fewer columns.
        reference: the row that the costs are compared with.
    """
    head, body = _cells(rows, reference or reference_of(rows), Trained())
    names = [_heading(name) for name in head]
    shown = [n for n, name in enumerate(head) if n and name not in UNSHOWN]
    needed = max(len(line) for row in rows for line in in_lines(row.name, NAME))

    def left() -> int:
        return width - 2 - sum(_width(n, names, body) + 1 for n in shown)

    for name in DROPPED:
        if left() < needed:
            shown = [n for n in shown if names[n] != name]
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, collapse_padding=True)
    table.add_column(names[0])
    for n in shown:
        table.add_column(names[n], justify="right", no_wrap=True)
    room = max(left(), needed)
    for cells in body:
        table.add_row("\n".join(in_lines(cells[0], room)), *(cells[n] for n in shown))
    return table


def _heading(name: str) -> str:
    """Return a short heading for a terminal."""
    name = name.replace("training ", "").replace(" re", "\nre").replace("seconds", "s")
    return "ratio" if name.startswith("of ") else name


def _width(place: int, names: Sequence[str], body: Sequence[Sequence[str]]) -> int:
    """Return the characters of a column."""
    return max(len(text) for text in (*names[place].split("\n"), *(row[place] for row in body)))
