"""Tables and pictures from the records of finished runs; nothing live."""

from lord.reporting.report import find_records, write_report
from lord.reporting.tables import CONVENTION, Row, markdown, summarise, terminal

__all__ = [
    "CONVENTION",
    "Row",
    "find_records",
    "markdown",
    "summarise",
    "terminal",
    "write_report",
]
