"""Open every page of the built site in a real browser, offline."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from assemble import pages, relinked

SITE = Path(__file__).parents[2] / "build" / "site"
CODE = sorted(SITE.glob("_modules/**/*.html"))[1:]
"""Pages of source code, except one. They are all alike, so one is tested."""
PAGES = sorted(str(page.relative_to(SITE)) for page in {*SITE.rglob("*.html")}.difference(CODE))
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(params=WIDTHS)
def visit(browser, request):
    """Return a function that opens a page, and fails on messages, errors and remote requests."""
    context = browser.new_context(
        offline=True, viewport={"width": WIDTHS[request.param], "height": 850}
    )
    page, wrong = context.new_page(), []
    page.on("console", lambda said: wrong.append(f"console: {said.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("requestfailed", lambda asked: wrong.append(f"not there: {asked.url}"))
    page.on(
        "request",
        lambda asked: (
            asked.url.startswith(("file:", "data:")) or wrong.append(f"asked for {asked.url}")
        ),
    )

    def go(address):
        page.goto((SITE / address).as_uri() if "://" not in address else address)
        assert not wrong, (address, wrong)
        return page

    yield go
    context.close()


def test_every_page_is_whole_offline_and_no_wider_than_the_screen(visit):
    assert len(PAGES) > 50
    for address in PAGES:
        page = visit(address)
        assert page.locator("h1").count() or address.startswith(("search", "genindex", "_modules"))
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{address} is {wide} pixels too wide"
        broken = page.evaluate(
            "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        )
        assert not broken, (address, broken)


def test_search_finds_a_method(visit):
    page = visit((SITE / "search.html").as_uri() + "?q=herding")
    page.wait_for_selector("ul.search li")
    assert "icarl" in page.inner_text("ul.search").lower()


@pytest.mark.parametrize("link", ["other.md", "index.md#nowhere", "#nowhere"])
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path, link):
    (tmp_path / "index.md").write_text(f"# Here\n\n[there]({link})\n")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "--fail-on-warning",
        "-c",
        Path(__file__).parent,
    ]
    done = subprocess.run(
        [*command, tmp_path, tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "index.md:3" in done.stderr


def test_the_page_of_a_study_shows_charts_that_the_repository_lacks():
    page = SITE / "results" / "front-s-cifar10" / "README.html"
    shown = re.findall(r'<img [^>]*src="([^"]+\.png)"', page.read_text())
    assert len(shown) == 2
    assert all((page.parent / name).stat().st_size > 10_000 for name in shown)


def test_links_are_followed_from_the_repository_to_the_site():
    page = (Path("docs/how-to/a.md"), Path("how-to/a.md"), pages())
    assert relinked("[x](../../CONTRIBUTING.md#adding)", *page) == "[x](../contributing.md#adding)"
    assert relinked("[x](../../examples/hard_er.py)", *page) == "[x](../examples/hard_er.md)"
    assert relinked("[x](../../src/lord/methods/lord.py)", *page) == "[x](../methods/lord.md)"
    with pytest.raises(SystemExit, match=r"docs/how-to/a\.md: no page for the link '\.\./no\.md'"):
        relinked("[x](../no.md)", *page)
