"""Size and load time of the page with many runs.

    python benchmarks/page.py --runs 500 --out results/page/page.json

A small study on the digits, its runs copied under other seeds, confusion and thumbnails included;
then the file is opened in Chromium (needs playwright) until its table stands, and the rest of the
runs is asked for, until all can be read there.
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
SHOWN = "rows => document.querySelectorAll('#runs tbody tr').length >= rows"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        study = Path(folder) / "study"
        subprocess.run(
            [sys.executable, "-m", "lord", *shlex.split(STUDY), "--out", str(study)], check=True
        )
        multiply(study, options.runs)
        start = time.perf_counter()
        page = write_page(study)
        written = time.perf_counter() - start
        found = shutil.which("chromium")
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        loads, alls = zip(
            *[seconds_to_load(browser, page, options.runs) for _ in range(6)][1:], strict=True
        )
        result = {
            "runs": options.runs,
            "bytes": page.stat().st_size,
            "seconds to write": round(written, 2),
            "seconds to load": [round(each, 2) for each in loads],
            "median": round(statistics.median(loads), 2),
            "seconds until all runs are in the table": [round(each, 2) for each in alls],
            "chromium": browser.version,
            "command": shlex.join(["python", *sys.argv]),
            "environment": environment(),
        }
        browser.close()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def multiply(study: Path, runs: int) -> None:
    """Copy the study's runs under new seeds until there are as many as wanted."""
    first = sorted(file.parent for file in study.glob("*/summary.json"))
    for number in range(len(first), runs):
        origin = first[number % len(first)]
        seed = number // len(first) * 3 + int(origin.name.rpartition("seed")[2])
        copy = study / f"{origin.name.rpartition('seed')[0]}seed{seed}"
        shutil.copytree(origin, copy)
        summary = json.loads((copy / "summary.json").read_text())
        write_text(copy / "summary.json", json.dumps(summary | {"seed": seed}))


def seconds_to_load(browser: Browser, page: Path, runs: int) -> tuple[float, float]:
    """Until the table stands, and from then on until all runs are in it."""
    context = browser.new_context(offline=True)
    shown = context.new_page()
    start = time.perf_counter()
    shown.goto(page.as_uri())
    shown.wait_for_function(SHOWN, arg=min(runs, 100))
    loaded = time.perf_counter()
    if shown.locator("#more").is_visible():
        shown.locator("#more").click()
    shown.wait_for_function(SHOWN, arg=runs)
    taken = loaded - start, time.perf_counter() - loaded
    context.close()
    return taken


if __name__ == "__main__":
    main()
