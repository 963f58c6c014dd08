"""Draw the documentation's pictures: the chart of the first page, and screenshots of the report.

    python docs/pictures/make.py results/front-s-cifar10 runs/demo

The chart needs only the first folder. The screenshots need both folders, Chromium and Playwright.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from lord.reporting import find_records, summarise
from lord.reporting.html import gather
from lord.reporting.html.write import encoded, render
from lord.reporting.tables import Row

HERE = Path(__file__).parent
DESKTOP, PHONE = {"width": 1180, "height": 820}, {"width": 390, "height": 820}
TALL = {"width": 1180, "height": 4000}  # a sticky toolbar would cover part of a long section
CURVES = {
    "lord+": ("lord+", "#0b5d7a", (-10, 8), "right"),
    "lord+:pace=4": ("lord+, faster growth", "#0b5d7a", (-10, 12), "right"),
    "er-las:width=8": ("er-las, half width", "#b3541e", (6, -66), "right"),
    "er-las": ("er-las", "#b3541e", (-8, 10), "right"),
    "mean-er:tau=1:rate=1:decay=0.97": ("mean-er", "#7a7a7a", (8, -4), "left"),
    "der++:tau=1": ("der++", "#5b3f8c", (8, -14), "left"),
}
"""Family: its name in the chart, its colour, where the name stands at its last point."""


def main(study: Path, runs: Path | None = None) -> None:
    """Draw all pictures.

    Args:
        study: a comparison over several budgets.
        runs: a comparison whose run folders exist; without it only the chart is drawn.
    """
    chart(summarise(find_records(study)), HERE / "front.svg")
    if runs:
        screenshots(study, runs)


def chart(rows: list[Row], file: Path) -> None:
    """Draw accuracy against training FLOPs, one named curve a method."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for family, (name, colour, shift, side) in CURVES.items():
        members = [row for row in rows if row.family == family]
        flops = [row.mean(lambda r: r.training_flops) for row in members]
        accuracy = [row.mean(lambda r: r.class_il) for row in members]
        spread = [row.spread(lambda r: r.class_il) for row in members]
        bold = name.startswith("lord+")
        axes.errorbar(
            flops,
            accuracy,
            spread,
            color=colour,
            marker="o",
            linewidth=2.6 if bold else 1.6,
            elinewidth=1,
            capsize=2,
            linestyle="--" if "," in name else "-",
        )
        axes.annotate(
            name,
            (flops[-1], accuracy[-1]),
            shift,
            textcoords="offset points",
            color=colour,
            ha=side,
            weight="bold" if bold else "normal",
        )
    axes.set(xlabel="all training FLOPs, in 10¹²", ylabel="Class-IL accuracy, %", xscale="log")
    axes.set_xlim(6e11, 5e13)
    axes.set_xticks([1e12, 2e12, 5e12, 1e13, 2e13], ["1", "2", "5", "10", "20"])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    fonts = {"svg.fonttype": "none", "svg.hashsalt": "front", "font.family": "sans-serif"}
    with rc_context({**fonts, "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"]}):
        figure.savefig(file, metadata={"Date": None})


def screenshots(study: Path, runs: Path) -> None:
    """Take pictures of the report of two comparisons."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        pages = {}
        for source in (study, runs):
            pages[source] = Path(folder) / f"{source.name}.html"
            pages[source].write_text(render(encoded(gather(source))), encoding="utf-8")
        flags = ["--no-sandbox", "--disable-gpu"]
        found = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        shoot(browser, pages[study], "page-light.png", DESKTOP, "light")
        shoot(browser, pages[study], "page-dark.png", TALL, "dark", "#stream")
        shoot(browser, pages[study], "page-runs.png", TALL, "light", "#runs")
        shoot(browser, pages[runs], "page-chosen.png", TALL, "light", "#chosen .pair")
        shoot(browser, pages[study], "page-phone.png", PHONE, "dark")
        browser.close()


def shoot(
    browser: Browser,
    page: Path,
    name: str,
    size: dict[str, int],
    scheme: str,
    section: str | None = None,
) -> None:
    """Take a picture of one whole section, or of what the first screen shows."""
    context = browser.new_context(offline=True, viewport=size, color_scheme=scheme)
    shown = context.new_page()
    shown.goto(page.as_uri())
    shown.wait_for_timeout(500)
    data = shown.locator(section).screenshot() if section else shown.screenshot()
    Image.open(io.BytesIO(data)).convert("RGB").save(HERE / name, optimize=True)
    context.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
