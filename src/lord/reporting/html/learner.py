"""Write the page of a learner that is kept, or of its evaluation."""

from pathlib import Path

import msgspec

from lord.evaluation.inspection import Inspection
from lord.evaluation.kept import Evaluation
from lord.reporting.html.write import encoded, render, write_html

SCRIPTS = (
    "uplot/uPlot.iife.min.js",
    *("elements.js", "chart.js", "heat.js", "theme.js", "learner.js"),
)


class LearnerPage(msgspec.Struct, kw_only=True):
    """All data of a page. One of the two is given."""

    title: str
    inspection: Inspection | None = None
    evaluation: Evaluation | None = None


def write_learner_page(page: LearnerPage, file: Path) -> None:
    """Write a page as one file that works offline. It may replace an earlier page.

    Raises:
        UserError: if the file cannot be written, or another kind of file is in its place.
    """
    write_html(file, render(encoded(page), template="learner.html", scripts=SCRIPTS))
