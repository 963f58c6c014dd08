"""The pictures of the page in the documentation, from results with and without their runs.

    python docs/pictures/make.py results/front-s-cifar10 runs/demo

Needs Chromium and playwright.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from lord.reporting.html import gather
from lord.reporting.html.write import encoded, render

HERE = Path(__file__).parent
DESKTOP, PHONE = {"width": 1180, "height": 820}, {"width": 390, "height": 820}
TALL = {"width": 1180, "height": 4000}  # the bar that stays in sight would lie over a long section


def main(kept: Path, runs: Path) -> None:
    """Write all pictures. kept: a study of several budgets; runs: one whose runs' folders exist."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        pages = {}
        for study in (kept, runs):
            pages[study] = Path(folder) / f"{study.name}.html"
            pages[study].write_text(render(encoded(gather(study))), encoding="utf-8")
        flags = ["--no-sandbox", "--disable-gpu"]
        found = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        shoot(browser, pages[kept], "page-light.png", DESKTOP, "light")
        shoot(browser, pages[kept], "page-dark.png", TALL, "dark", "#stream")
        shoot(browser, pages[kept], "page-runs.png", TALL, "light", "#runs")
        shoot(browser, pages[runs], "page-chosen.png", TALL, "light", "#chosen .pair")
        shoot(browser, pages[kept], "page-phone.png", PHONE, "dark")
        browser.close()


def shoot(
    browser: Browser,
    page: Path,
    name: str,
    size: dict[str, int],
    scheme: str,
    section: str | None = None,
) -> None:
    """Of one section whole, or of what a screen shows first."""
    context = browser.new_context(offline=True, viewport=size, color_scheme=scheme)
    shown = context.new_page()
    shown.goto(page.as_uri())
    shown.wait_for_timeout(500)
    data = shown.locator(section).screenshot() if section else shown.screenshot()
    Image.open(io.BytesIO(data)).convert("RGB").save(HERE / name, optimize=True)
    context.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
