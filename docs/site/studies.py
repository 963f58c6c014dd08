"""Draw the charts of the studies in results/, or write their pages again.

    python docs/site/studies.py charts build/charts
    python docs/site/studies.py pages

Both need only the tables of the studies. The charts are not in the repository, so the pages there
do not show them. The site's pages do.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from lord.reporting import Row, find_studies, summarise
from lord.reporting.report import MADE, draw_picture, page_of, pictures_of
from lord.storage import write_text

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
FRONTS = "results/equal-budgets/fronts.svg"
"""The chart of all methods at equal budgets, as a file of the site."""


def paged(results: Path) -> dict[Path, list[Row]]:
    """Return the rows of each study whose page is made by a report, by its folder."""
    found = {}
    for folder, records in find_studies(results).items():
        page = folder / "README.md"
        if page.is_file() and MADE in page.read_text():
            found[folder] = summarise(records)
    return found


def draw(results: Path, out: Path) -> dict[Path, str]:
    """Draw the charts of all studies into a folder.

    Args:
        results: the folder with the studies.
        out: where each study gets a folder with its charts.

    Returns:
        By its file in the repository, each page with the charts.
    """
    pages = {}
    for folder, rows in paged(results).items():
        names = pictures_of(rows)
        place = out / folder.relative_to(results)
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            draw_picture(rows, place / name)
        pages[folder / "README.md"] = page_of(folder, rows, names)
    fronts = Path(FRONTS).relative_to("results")
    script = ROOT / "benchmarks" / "equal_budgets_fronts.py"
    (out / fronts).parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, script, results / fronts.parent, out / fronts]
    subprocess.run(command, check=True)
    return pages


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("charts", help="draw the charts").add_argument("out", type=Path)
    commands.add_parser("pages", help="write the pages, without charts")
    arguments = parser.parse_args()
    if arguments.what == "charts":
        draw(RESULTS, arguments.out)
    else:
        for folder, rows in paged(RESULTS).items():
            write_text(folder / "README.md", page_of(folder, rows))


if __name__ == "__main__":
    main()
