"""Tables, pictures and pages from the records of runs."""

from lord.reporting.report import find_records, find_studies, write_report
from lord.reporting.statistics import Difference, caution, paired
from lord.reporting.tables import CONVENTION, Row, markdown, missing, summarise, terminal

__all__ = [
    "CONVENTION",
    "Difference",
    "Row",
    "caution",
    "find_records",
    "find_studies",
    "markdown",
    "missing",
    "paired",
    "summarise",
    "terminal",
    "write_report",
]
