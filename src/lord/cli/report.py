"""``lord report``: pages and pictures of results."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from lord.cli.console import print_classes, report_on, say
from lord.cli.flags import Switch, checked
from lord.config import UserError

EXAMPLES = """
lord report runs/compare-digits
lord report runs/compare-digits --against er
lord report runs/compare-digits --csv runs.csv --latex table.tex --against er
lord report runs/compare-digits --html
lord report runs --watch
"""


def report(
    folder: Path,
    /,
    *,
    against: str | None = None,
    per_class: Switch = False,
    csv: Path | None = None,
    latex: Path | None = None,
    html: Switch = False,
    watch: Switch = False,
    port: Annotated[int | None, checked(Annotated[int, Meta(ge=0, le=65535)])] = None,
) -> None:
    """Write the page and the pictures of a folder's results again, or make a page to explore them.

    Parameters
    ----------
    folder
        Folder of a comparison, of one run, or of many comparisons.
    against
        Compare every row with this one: a method, or the name of a row. The table has the
        differences over common seeds and a paired permutation test.
    per_class
        Print the accuracy on each class instead.
    csv
        Write this file instead: a row for each run, with measures, costs and settings.
    latex
        Write this file instead: the table of each comparison for LaTeX, with booktabs. 'against'
        adds columns with the differences and their p.
    html
        Write FOLDER/report.html instead: one file with charts, runs and commands. It works
        offline.
    watch
        Serve that page instead, on this machine only, with the runs in progress. Ctrl-C ends it.
    port
        Port to serve it at; any free one by default.
    """
    from lord.reporting import find_studies, write_csv, write_latex
    from lord.reporting.html import watch as serve
    from lord.reporting.html import write_page
    from lord.reporting.report import write_report

    chosen = {"html": html, "watch": watch, "per_class": per_class, "against": against}
    given = [name for name, value in (chosen | {"csv": csv, "latex": latex}).items() if value]
    if len(given) > 1 and not (latex and set(given) <= {"against", "csv", "latex"}):
        raise UserError(
            f"cannot be combined with `{given[1]}`", field=given[0], hint="give one of them"
        )
    if port is not None and not watch:
        raise UserError("is only for `watch`", field="port", given=port)
    if watch:
        serve(folder, port or 0, say)
        return
    if html:
        say(f"The page is {write_page(folder)}.")
        return
    studies = find_studies(folder)
    if csv or latex:
        if csv:
            write_csv(studies, csv)
        if latex:
            write_latex(studies, latex, against)
        for file in filter(None, (csv, latex)):
            say(f"The table is {file}.")
        return
    if per_class:
        for records in studies.values():
            print_classes(records)
        return
    for study, records in studies.items():
        if len(studies) == 1:
            report_on(study, records, against)
        else:
            write_report(study, records, against)
            say(f"{study}: {len(records)} runs")
