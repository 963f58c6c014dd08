"""The report as one HTML file that works offline, or served while runs are in progress."""

from lord.reporting.html.gather import gather
from lord.reporting.html.watch import watch
from lord.reporting.html.write import write_page

__all__ = ["gather", "watch", "write_page"]
