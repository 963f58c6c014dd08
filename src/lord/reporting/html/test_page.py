"""Tests of the page in a browser."""

import re
import shutil

import msgspec
import pytest

from lord.evaluation import Classes, read_classes, read_record
from lord.reporting.html import write_page
from lord.reporting.html.conftest import WIDTHS, every_look


@pytest.fixture(scope="module")
def address(study):
    return write_page(study).as_uri()


def rows(page):
    return page.locator(".runs tbody tr")


def column(page, name):
    return rows(page).locator(f"td.{name}").all_inner_texts()


def test_it_is_one_file_that_makes_no_requests(opened, address):
    page = opened(address)
    assert rows(page).count() == 4
    assert page.locator("#about").inner_text().startswith("digits · 2 variants · 4 finished runs")
    page.wait_for_timeout(500)
    assert [url for url in opened.asked if not url.startswith("data:")] == [address]


def test_measure_and_cost_can_be_chosen(opened, address):
    page = opened(address)
    title = page.locator("#front-title")
    assert title.inner_text() == "Class-IL accuracy against training FLOPs"
    before = page.locator("#front canvas").screenshot()
    class_il = column(page, "accuracy")
    page.get_by_label("Task-IL", exact=True).check()
    page.get_by_label("bytes", exact=True).check()
    assert title.inner_text() == "Task-IL accuracy against bytes of state"
    assert page.locator("#stream-title").inner_text() == "Task-IL accuracy over the stream"
    assert page.locator("#front canvas").screenshot() != before
    assert column(page, "accuracy") != class_il
    page.get_by_label("recomputed", exact=True).check()
    assert "statistics: recomputed" in page.locator("#chosen .caption").first.inner_text()


def test_runs_are_sorted_and_filtered(opened, address):
    page = opened(address)
    values = [float(text) for text in column(page, "accuracy")]
    assert values == sorted(values, reverse=True)
    page.get_by_role("button", name="Class-IL ↓").click()
    assert [float(text) for text in column(page, "accuracy")] == sorted(values)
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="variant").click()
    assert column(page, "label") == ["er", "er", "lord", "lord"]
    page.get_by_label("Filter").fill("lord seed=1")
    assert (column(page, "label"), column(page, "seed")) == (["lord"], ["1"])
    assert page.locator("#count").inner_text() == "1 of 4 runs"
    page.get_by_label("Filter").fill("no such thing")
    assert rows(page).count() == 0


def test_two_runs_are_shown_side_by_side(opened, address, study):
    page = opened(address)
    page.get_by_role("button", name="Choose er, seed 1 as A").click()
    page.get_by_label("Run B", exact=True).select_option(label="lord, seed 0")
    one, other = page.locator("[data-run=a]"), page.locator("[data-run=b]")
    record, classes = read_record(study / "er-seed1"), read_classes(study / "er-seed1")
    assert f"{record.class_il:.1f} %" in one.locator("dd").first.inner_text()
    assert "vs A)" in other.locator("dl").inner_text()
    last = record.matrices.class_il[-1]
    shown = one.locator("table.heat").first.locator("tbody tr").last.locator("td")
    assert shown.all_inner_texts() == [f"{value:.0f}" for value in last]
    confusion = one.locator("table.heat").nth(1)
    for i, line in enumerate(classes.confusion):
        cells = confusion.locator("tbody tr").nth(i).locator("td").all_inner_texts()
        assert [float(cell or 0) for cell in cells] == [
            pytest.approx(100 * count / sum(line), abs=0.51) for count in line
        ]
    assert one.locator(".thumbs .number").all_inner_texts() == [str(n) for n in classes.held]
    page.wait_for_function("document.querySelectorAll('.strip')[0].style.backgroundImage")
    differ = page.locator(".differences tbody th").all_inner_texts()
    assert {"method", "seed", "distill"} <= set(differ)
    assert "width" not in differ
    page.get_by_label("Run B", exact=True).select_option("")
    assert page.locator("[data-run=b]").count() == 0


def test_charts_react_to_the_pointer(opened, address):
    page = opened(address)
    plot = page.locator("#front .u-over")
    place = page.evaluate(
        """() => { const { u, ordered } = charts.front;
        const box = u.over.getBoundingClientRect(), [x, y] = charts.front.where(ordered[0]);
        return [box.left + x, box.top + y]; }"""
    )
    page.mouse.move(*place)
    assert "Class-IL" in page.locator("#front .tip").inner_text()
    page.mouse.click(*place)
    name = page.locator("#front .tip b").inner_text()
    assert page.get_by_label("Run A", exact=True).locator(":checked").inner_text().startswith(name)
    whole = page.evaluate("charts.front.u.scales.x.max - charts.front.u.scales.x.min")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 200, steps=5)
    page.mouse.up()
    width = "charts.front.u.scales.x.max - charts.front.u.scales.x.min"
    assert page.evaluate(width) < 0.6 * whole
    page.get_by_role("button", name="Zoom out").first.click()
    page.get_by_role("button", name="Show all").first.click()
    assert page.evaluate(width) == pytest.approx(whole)
    legend = page.locator("#front .legend").get_by_role("button", name="er", exact=True)
    legend.click()
    assert legend.get_attribute("aria-pressed") == "false"
    assert page.evaluate("charts.front.series.map(each => each.name)") == ["front", "lord"]


def test_everything_can_be_done_with_the_keyboard(opened, address):
    page = opened(address)
    page.locator("#front .plot").focus()
    seen = []
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        seen.append(page.locator("#front .tip").inner_text())
    assert len(set(seen)) == 6  # two means and four seeds
    assert "lord" in page.locator("#front [role=status]").inner_text()
    page.keyboard.press("Shift+Enter")
    chosen = page.get_by_label("Run B", exact=True).locator(":checked").inner_text()
    assert chosen.startswith("lord")
    page.keyboard.press("+")
    assert page.evaluate("charts.front.zoomed")
    page.keyboard.press("0")
    assert not page.evaluate("charts.front.zoomed")
    page.get_by_label("Class-IL", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#front-title").inner_text().startswith("Task-IL")
    page.get_by_role("button", name="variant").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # the focus stays on the header, which was replaced
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"


def test_each_run_has_the_command_that_repeats_it(opened, address, study):
    page = opened(address)
    page.get_by_label("Filter").fill("lord seed=1")
    command = page.locator(".made code").inner_text()
    assert command == f"lord run --config {study}/lord-seed1/config.yaml --out again"
    page.get_by_role("button", name="Copy the command of lord, seed 1").click()
    page.get_by_role("button", name="Copy the command of lord, seed 1").get_by_text("copied")


@every_look
def test_it_fits_and_is_accessible(opened, address, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    page = opened(address, viewport=WIDTHS[size], color_scheme=scheme)
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", dark))) < 60) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[size]["width"]
    found = axe.Axe().run(page).response["violations"]
    grave = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == []


def test_the_theme_can_be_chosen(opened, address):
    page = opened(address, color_scheme="light")
    button = page.locator("#theme")
    assert button.inner_text() == "theme: system"
    button.click()
    button.click()
    assert button.inner_text() == "theme: dark"
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == "rgb(18, 21, 26)"
    page.reload()
    assert button.inner_text() == "theme: dark"


def test_data_is_never_read_as_html(opened, tmp_path, study):
    evil = "</script><img src=x onerror=\"document.title='broken out'\"><!--<script>"
    folder = tmp_path / "run"
    folder.mkdir()
    record = msgspec.structs.replace(read_record(study / "er-seed0"), label=evil, preset=evil)
    classes = read_classes(study / "er-seed0")
    classes = msgspec.structs.replace(classes, names=[evil, *classes.names[1:]])
    for name, value in (("summary", record), ("accuracy", record.matrices), ("classes", classes)):
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(value))
    page = opened(write_page(folder).as_uri())
    assert page.title() == "run: runs"
    assert page.locator("img").count() == 0
    assert column(page, "label") == [evil]
    assert page.locator(".thumbs .class").first.inner_text() == evil


def test_many_classes_are_shown_as_a_picture_with_a_line_for_each_cell(opened, tmp_path, study):
    shutil.copytree(study / "lord-seed0", tmp_path / "run")
    names = [f"class {n}" for n in range(60)]
    confusion = [[8 * (i == j) + 2 * (j == 59) for j in range(60)] for i in range(60)]
    classes = Classes(names=names, statistics="trained", confusion=confusion)
    (tmp_path / "run" / "classes.json").write_bytes(msgspec.json.encode(classes))
    page = opened(write_page(tmp_path / "run").as_uri())
    canvas = page.locator("canvas.heat-map")
    assert canvas.evaluate("canvas => [canvas.width, canvas.height]") == [60, 60]
    box = canvas.bounding_box()
    cell = box["width"] / 60
    canvas.hover(position={"x": 59.5 * cell, "y": 3.5 * cell})
    assert canvas.locator("+ p").inner_text() == "class 3 predicted as class 59: 20.0 %"
    assert (
        page.locator(".mistakes li").first.inner_text() == "class 0 predicted as class 59: 20.0 %"
    )
    assert page.locator(".thumbs").count() == 0


def test_variants_have_short_names_and_all_settings_on_request(opened, tmp_path, study):
    for n, lr in enumerate(("0.1", "0.03")):
        shutil.copytree(study / "er-seed0", tmp_path / f"er{n}")
        settings = {"lr": lr, "momentum": 0, "optimizer": "sgd"}
        label = ":".join(["er", *(f"{name}={value}" for name, value in settings.items())])
        record = read_record(study / "er-seed0")
        record = msgspec.structs.replace(record, label=label, variant=settings)
        (tmp_path / f"er{n}" / "summary.json").write_bytes(msgspec.json.encode(record))
    page = opened(write_page(tmp_path).as_uri())
    legend = page.locator("#front .legend button")
    assert legend.all_inner_texts() == ["er (lr 0.03)", "er (lr 0.1)"]
    assert legend.first.get_attribute("title") == "lr 0.03, momentum 0, optimizer sgd"
    assert sorted(column(page, "label")) == ["er (lr 0.03)", "er (lr 0.1)"]
    page.get_by_text("Settings of the variants").click()
    shown = page.locator("#variants tbody tr").all_inner_texts()
    assert sorted(shown)[0] == "er (lr 0.03)\tlr 0.03, momentum 0, optimizer sgd"
