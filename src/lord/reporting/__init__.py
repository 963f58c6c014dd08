"""Tables, pictures and pages from the records of runs."""

from lord.reporting.export import frame, write_csv, write_latex
from lord.reporting.page import CLASS_NOTE, against, class_table, difference_table
from lord.reporting.report import check_replaceable, find_records, find_studies, write_report
from lord.reporting.rows import Row, summarise
from lord.reporting.statistics import Difference, caution, paired
from lord.reporting.tables import CONVENTION, markdown, missing, notes, terminal, warned

__all__ = [
    "CLASS_NOTE",
    "CONVENTION",
    "Difference",
    "Row",
    "against",
    "caution",
    "check_replaceable",
    "class_table",
    "difference_table",
    "find_records",
    "find_studies",
    "frame",
    "markdown",
    "missing",
    "notes",
    "paired",
    "summarise",
    "terminal",
    "warned",
    "write_csv",
    "write_latex",
    "write_report",
]
