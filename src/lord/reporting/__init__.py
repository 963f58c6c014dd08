"""Tables, pictures and pages from the records of runs."""

from lord.reporting.page import against, difference_table
from lord.reporting.report import find_records, find_studies, write_report
from lord.reporting.rows import Row, summarise
from lord.reporting.statistics import Difference, caution, paired
from lord.reporting.tables import CONVENTION, markdown, missing, notes, terminal

__all__ = [
    "CONVENTION",
    "Difference",
    "Row",
    "against",
    "caution",
    "difference_table",
    "find_records",
    "find_studies",
    "markdown",
    "missing",
    "notes",
    "paired",
    "summarise",
    "terminal",
    "write_report",
]
