"""The page: one file that works offline, or the same served while runs go on."""

from lord.reporting.html.gather import gather
from lord.reporting.html.watch import watch
from lord.reporting.html.write import write_page

__all__ = ["gather", "watch", "write_page"]
