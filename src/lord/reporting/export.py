"""Results for other programs: a tidy table of runs as CSV or pandas, and a table for LaTeX."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lord.config import UserError, as_path, expect
from lord.evaluation import DEFINITIONS, RunRecord
from lord.reporting.fairness import trained
from lord.reporting.page import against
from lord.reporting.report import find_studies, not_ours
from lord.reporting.rows import Pick, Row, flops_of, summarise
from lord.reporting.statistics import caution, paired
from lord.reporting.tables import UNCOUNTED, marked, missing, pretrained, share_missed
from lord.reporting.units import size
from lord.storage import readable, write_text

if TYPE_CHECKING:
    from pandas import DataFrame

Studies = Mapping[Path, Sequence[RunRecord]]
STUDY = "a folder, or records as compare returns them"
FIRST = ("study", "row", "method", "label", "seed", "headline_class_il", "headline_task_il")
"""The first columns of a tidy table."""
APART = ("variant", "settings", "matrices", "per_class", "class_names")
"""Fields of a record that are not columns."""
MARK = "% made by lord report"
"""Start of every LaTeX file."""
SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}


def tidy(studies: Studies) -> tuple[list[str], list[list[object]]]:
    """Return the columns and the rows of a table with a row for each run.

    The columns are the measures and costs of ``RunRecord``, and then the settings. A setting that a
    run does not have is None.
    """
    fields = [name for name in RunRecord.__struct_fields__ if name not in (*FIRST, *APART)]
    found: list[dict[str, object]] = []
    for folder, records in studies.items():
        for row in summarise(records):
            for record in row.records:
                class_il, task_il = record.headline
                first = (readable(str(folder)), row.name, record.method, row.label, record.seed)
                values: dict[str, object] = dict(record.settings)
                values |= {name: getattr(record, name) for name in fields}
                if record.settings.get("flops_per_task"):
                    values["epochs"] = None  # the budget decides how many there are
                values |= dict(zip(FIRST, (*first, class_il, task_il), strict=True))
                found.append(values)
    settings = dict.fromkeys(name for values in found for name in values)
    columns = list(dict.fromkeys((*FIRST, *fields, *settings)))
    return columns, [[values.get(name) for name in columns] for values in found]


def frame(study: str | Path | Sequence[RunRecord]) -> "DataFrame":
    """Return a tidy table of a study as a pandas data frame: a row for each run.

    Args:
        study: folder of a comparison, of one run or of many comparisons; or records, as
            ``lord.compare`` returns them.

    Raises:
        UserError: if pandas is not installed, the folder has no finished run, or ``study`` is
            something else.
    """
    try:
        pandas = import_module("pandas")
    except ImportError:
        raise UserError("a data frame needs pandas", hint="pip install pandas") from None
    if isinstance(study, str | Path):
        columns, rows = tidy(find_studies(as_path("study", study)))
    else:
        expect("study", study, Iterable, STUDY)
        records = list(study)
        for record in records:
            expect("study", record, RunRecord, STUDY)
        columns, rows = tidy({Path(): records})  # records without a folder
    return pandas.DataFrame({name: [row[n] for row in rows] for n, name in enumerate(columns)})


def write_csv(studies: Studies, file: Path) -> None:
    """Write the tidy table of studies as CSV. A value that is missing is an empty cell.

    Raises:
        UserError: if ``file`` exists and is not such a table, or cannot be written.
    """
    columns, rows = tidy(studies)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *rows])
    _write(file, text.getvalue(), ",".join(FIRST))


def write_latex(studies: Studies, file: Path, baseline: str | None = None) -> None:
    """Write a table of each study for LaTeX.

    Args:
        studies: the records of each study, by its folder.
        file: the file to write.
        baseline: name of the row that the others are compared with; see ``against``.

    Raises:
        UserError: if ``file`` exists and is not such a table, or cannot be written, or a study has
            no such row.
    """
    parts = [
        latex(readable(folder.resolve().name), summarise(records), baseline)
        for folder, records in studies.items()
    ]
    _write(file, "\n".join(parts), MARK)


def _write(file: Path, text: str, mark: str) -> None:
    """Write a file. One that is there must begin with the mark."""
    try:
        if file.exists() and not file.read_bytes().startswith(mark.encode()):
            raise not_ours(file)
        write_text(file, text)
    except OSError as error:
        raise UserError(f"cannot write '{file}': {error.strerror}") from None


class Column(NamedTuple):
    """A column of a LaTeX table: its value, how it is printed, and whether less is better."""

    pick: Pick
    form: Callable[[float], str]
    less: bool
    definition: str


def _percent(value: float) -> str:
    return f"{value:.1f}"


def _power(value: float) -> str:
    """Return a number as in ``1.2 \\times 10^{9}``."""
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}"


COLUMNS = {
    "Class-IL": Column(lambda r: r.headline[0], _percent, False, DEFINITIONS["class_il"]),
    "Task-IL": Column(lambda r: r.headline[1], _percent, False, DEFINITIONS["task_il"]),
    "forgetting": Column(lambda r: r.forgetting, _percent, True, DEFINITIONS["forgetting"]),
    "FLOPs": Column(
        flops_of, _power, True, "all of training, without evaluation; a multiply-add is 2 FLOPs"
    ),
    "state": Column(lambda r: r.state_bytes, size, True, "all that the method keeps"),
}


def latex(title: str, rows: Sequence[Row], baseline: str | None = None) -> str:
    """Return a table of rows for LaTeX with booktabs. The best value of a column is bold.

    With a baseline, two columns have the difference of each row to it, and its p value.
    """
    how, warning = trained(rows), missing(rows)
    seeds = sorted({len(row.records) for row in rows})
    # An empty group keeps LaTeX from taking a name such as [x] for an argument of the rule above.
    names = [marked(row) for row in rows]
    head = ["method", *COLUMNS]
    body = [["{}" * name.startswith(("[", "*")) + escape(name)] for name in names]
    for column in COLUMNS.values():
        for cells, text in zip(body, _cells(column, rows), strict=True):
            cells.append(text)
    gaps = _gaps(rows, baseline) if baseline else None
    if gaps:
        head += gaps.head
        body = [cells + more for cells, more in zip(body, gaps.cells, strict=True)]
    if warning:
        head.append(r"not counted")
        for cells, row in zip(body, rows, strict=True):
            share = share_missed(row)
            cells.append(rf"{share:.0%}".replace("%", r"\%") if share >= UNCOUNTED else "")
    if how.each:
        head.append("training")
        for cells, row in zip(body, rows, strict=True):
            cells.append(escape(how.each[row.name]))
    comments = [
        f"{title}: mean and standard deviation over {' or '.join(map(str, seeds))} seeds; "
        "accuracies in percent; best mean in bold",
        *(f"{name}: {column.definition}" for name, column in COLUMNS.items()),
        *(gaps.notes if gaps else ()),
        *([f"All rows: {how.shared}"] if how.shared else []),
        *(text for text in (how.warning, warning, pretrained(rows)) if text),
        "needs the package booktabs",
    ]
    form = "l" + "r" * (len(head) - 1 - bool(how.each)) + "l" * bool(how.each)
    lines = [
        f"{MARK}; the comments are for its caption",
        *(f"% {' '.join(text.split())}" for text in comments),
        rf"\begin{{tabular}}{{{form}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(" & ".join(cells) + r" \\" for cells in body),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


class Gaps(NamedTuple):
    """Columns with the differences to a baseline: their head, the cells of each row, and notes."""

    head: list[str]
    cells: list[list[str]]
    notes: list[str]


def _gaps(rows: Sequence[Row], baseline: str) -> Gaps:
    """Return the columns of a LaTeX table that compare each row with a baseline."""
    reference = against(rows, baseline)
    cells, seeds = [], []
    for row in rows:
        gap = None if row is reference else paired(row, reference, lambda r: r.headline[0])
        if gap is None:
            cells.append(["--", "--"])
            continue
        seeds.append(gap.seeds)
        interval = "" if gap.low is None else rf"\ [{gap.low:+.1f}, {gap.high:+.1f}]"
        cells.append([f"${gap.mean:+.1f}{interval}$", "--" if gap.p is None else f"{gap.p:.3g}"])
    warning = caution(seeds)
    text = (
        "difference: Class-IL minus that of the row it names, over common seeds, with its 95 % "
        "interval (Student's t); p: exact paired permutation test"
    )
    return Gaps(
        [f"to {escape(reference.name)}", "$p$"], cells, [text, *([warning] if warning else [])]
    )


def _cells(column: Column, rows: Sequence[Row]) -> list[str]:
    """Return the mean ± standard deviation of each row. The best printed mean is bold."""
    means = [row.mean(column.pick) for row in rows]
    known = [mean for mean in means if mean is not None]
    best = column.form((min if column.less else max)(known)) if known else ""
    cells = []
    for row, mean in zip(rows, means, strict=True):
        if mean is None:
            cells.append("--")
            continue
        text, spread = column.form(mean), row.spread(column.pick)
        deviation = rf" \pm {column.form(spread)}" if spread and column.form is _percent else ""
        bold, plain = text == best and len(rows) > 1, column.form is size
        if plain:
            cells.append(rf"\textbf{{{text}}}" if bold else text)
        else:
            cells.append(rf"$\mathbf{{{text}}}{deviation}$" if bold else f"${text}{deviation}$")
    return cells


def escape(text: str) -> str:
    r"""Return text for LaTeX.

    >>> escape("my_er (50 % & more)")
    'my\\_er (50 \\% \\& more)'
    """
    return "".join(SPECIAL.get(character, character) for character in text)
