"""A comparison and a browser for the tests of the page."""

import shutil
from pathlib import Path

import pytest

from lord.test_forked import Forked

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
STUDY = """
from pathlib import Path
from lord.reporting.report import write_report
from lord.studies.compare import write_study
from lord.training import compose, run
from lord.training.config import folder_name

out, names = Path("{}"), ("er", "lord")
given = dict(network="cnn", width=4, epochs=1, threads=1, subset=0.5)
given |= dict([("lord.candidates", 10)])
configs = [compose(name, given, seed=seed, beside=names) for name in names for seed in (0, 1)]
records = [run(config, out / folder_name(config)) for config in configs]
write_study(out, configs, "lord compare --methods er,lord --seeds 2")
write_report(out, records)
"""
"""Makes a comparison in one process, which is faster than ``lord compare``."""
WIDTHS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
every_look = pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("desktop", "light"),
        ("phone", "dark"),
        pytest.param("desktop", "dark", marks=pytest.mark.slow),
        pytest.param("phone", "light", marks=pytest.mark.slow),
    ],
)


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    """A small comparison with the folders of its runs."""
    out = tmp_path_factory.mktemp("runs") / "compare-digits"
    done = Forked("-c", STUDY.format(out))
    assert done.wait() == 0, done.communicate()
    return out


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("needs chromium")
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Return a function that opens an address; errors of the page fail the test."""
    contexts, asked, complaints = [], [], []

    def go(address, *, offline=True, **options):
        options = {"viewport": {"width": 1280, "height": 900}} | options
        context = browser.new_context(offline=offline, **options)
        context.set_default_timeout(120_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text))
        page.goto(address)
        return page

    go.asked = asked
    yield go
    for context in contexts:
        context.close()
    assert complaints == []
