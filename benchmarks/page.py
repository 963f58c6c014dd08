"""Measure the size and load time of a page with many runs.

    python benchmarks/page.py --runs 500 --out results/page/page.json

Runs a small study on the digits and copies its runs under new seeds. Opens the page in Chromium and
waits until the table is complete, first with the runs shown at the start, then with all runs. Needs
playwright.
"""

import argparse
import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from lord.reporting.html import write_page
from lord.storage import write_text
from lord.training.folder import environment

STUDY = "compare --methods er,er-las,der++,lord --seeds 3 --epochs 1 --width 8 --threads 1"
ROUNDS = 5
TABLE_HAS = "rows => document.querySelectorAll('#runs tbody tr').length >= rows"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the results")
    parser.add_argument("--runs", type=int, default=500, help="runs on the page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        study = Path(folder) / "study"
        subprocess.run(
            [sys.executable, "-m", "lord", *shlex.split(STUDY), "--out", str(study)], check=True
        )
        multiply(study, arguments.runs)
        start = time.perf_counter()
        page = write_page(study)
        written = time.perf_counter() - start
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        times = [seconds_to_load(browser, page, arguments.runs) for _ in range(ROUNDS + 1)]
        first, rest = zip(*times[1:], strict=True)  # the first round warms up
        result = {
            "runs": arguments.runs,
            "bytes": page.stat().st_size,
            "seconds to write": round(written, 2),
            "seconds to load": [round(each, 2) for each in first],
            "median": round(statistics.median(first), 2),
            "seconds until all runs are in the table": [round(each, 2) for each in rest],
            "chromium": browser.version,
            "command": shlex.join(["python", *sys.argv]),
            "environment": environment(),
        }
        browser.close()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.out, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def multiply(study: Path, runs: int) -> None:
    """Copy the study's runs under new seeds until it has this many."""
    originals = sorted(file.parent for file in study.glob("*/summary.json"))
    for number in range(len(originals), runs):
        origin = originals[number % len(originals)]
        seed = number // len(originals) * 3 + int(origin.name.rpartition("seed")[2])
        copy = study / f"{origin.name.rpartition('seed')[0]}seed{seed}"
        shutil.copytree(origin, copy)
        summary = json.loads((copy / "summary.json").read_text())
        write_text(copy / "summary.json", json.dumps(summary | {"seed": seed}))


def seconds_to_load(browser: Browser, page: Path, runs: int) -> tuple[float, float]:
    """Return the seconds until the table is shown, and then until it has all runs."""
    context = browser.new_context(offline=True)
    tab = context.new_page()
    start = time.perf_counter()
    tab.goto(page.as_uri())
    tab.wait_for_function(TABLE_HAS, arg=min(runs, 100))
    first = time.perf_counter()
    if tab.locator("#more").is_visible():
        tab.locator("#more").click()
    tab.wait_for_function(TABLE_HAS, arg=runs)
    rest = time.perf_counter()
    context.close()
    return first - start, rest - first


if __name__ == "__main__":
    main()
