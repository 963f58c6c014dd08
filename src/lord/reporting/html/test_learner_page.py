"""Tests of a learner's page in a browser."""

import pytest
from msgspec import structs

from lord.evaluation.inspection import (
    Advice,
    BufferFigures,
    Inspection,
    Part,
    SessionFigures,
    Unfinished,
)
from lord.evaluation.kept import Answer, Drift, Mistake, Moved, Unreadable, evaluation
from lord.reporting.html.conftest import WIDTHS, every_look
from lord.reporting.html.learner import LearnerPage, write_learner_page

EVIL = "</script><img src=x onerror=\"document.title='broken out'\">"
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
WEEKS = "photos of the whole year/a folder with a long name/week"


def measured(classes, source="held-out images"):
    """An evaluation in which a tenth of each class is predicted as the next one."""
    answers = [
        Answer(f"{name}/{n}.jpg", name, classes[(place + (n == 0)) % len(classes)], 0.9, n < 3)
        for place, name in enumerate(classes)
        for n in range(10)
    ]
    wrong = [answer for answer in answers if not answer.right][:20]
    worst = [
        Mistake(file=a.file, label=a.label, predicted=a.predicted, confidence=0.9, picture=PIXEL)
        for a in wrong
    ]
    strangers = [Answer("emu/1.jpg", "emu", classes[0], 0.5)]
    bad = [Unreadable(file="x.jpg", reason="unknown format")]
    found = evaluation(source, classes, [*answers, *strangers])
    return structs.replace(found, worst=worst, unreadable=bad)


def inspected(classes, sessions):
    held = structs.replace(measured(classes), learned=0, strangers=[], unreadable=[])
    return Inspection(
        state="memory",
        method="lord+",
        network="resnet18, width 16",
        backbone="",
        shape=[3, 32, 32],
        classes=classes,
        given=[100] * len(classes),
        sessions=[
            SessionFigures(
                number=n + 1,
                date="2026-11-29",
                source=f"{WEEKS}{n + 1}",
                images=100,
                new_classes=classes[n : n + 1],
                level=3,
                steps=40,
                seconds=5.0,
                flops=10**12,
                held_out=[None if k == 1 else 90.0 - n + k for k in range(n + 1)],
            )
            for n in range(sessions)
        ],
        held_out=held,
        forgetting=3.2,
        parameters=123456,
        student=[16, 32, 64],
        teacher=[4, 8, 16],
        buffer=BufferFigures(
            images=500, capacity=500, classes=[500 // len(classes)] * len(classes)
        ),
        drift=Drift(
            source="the last session",
            shift=0.21,
            p=0.004,
            images=40,
            held_out=100,
            moved=[Moved(file="moved", predicted=classes[0], distance=0.4, picture=PIXEL)],
        ),
        disk=[Part(name="state.safetensors", size=12_000_000)],
        memory=[Part(name="buffer", size=1_500_000)],
        seconds=60.0,
        flops=10**13,
        unfinished=Unfinished(running=False, source=f"{WEEKS}9", images=100, steps=7),
        advice=[Advice(text="The session was interrupted.", command="lord learn x --state memory")],
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "memory.html"
    found = inspected([EVIL, "dog", "ant"], 3)
    write_learner_page(LearnerPage(title="memory", inspection=found), file)
    return file.as_uri()


def cells(page, section):
    rows = page.locator(f"{section} .figures tbody tr")
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def test_the_page_of_a_learner_shows_all_and_makes_no_requests(opened, address):
    page = opened(address)
    assert page.title() == "memory"
    assert (
        "3 sessions · 3 classes · held-out accuracy 90.0 %" in page.locator("#about").inner_text()
    )
    assert page.locator("#next .command code").all_inner_texts() == ["lord learn x --state memory"]
    assert cells(page, "#classes")[0] == [EVIL, "100", "10", "90.0", "90.0", "166"]
    session = ["3", "2026-11-29", f"{WEEKS}3", "ant", "100"]
    assert cells(page, "#sessions")[2][:5] == session
    heat = page.locator("#accuracy .heat tbody tr").last.locator("td").all_inner_texts()
    assert heat == ["88", "", "90"]
    assert f"{EVIL} predicted as dog: 1 image" in page.locator(".mistakes li").all_inner_texts()
    picture = page.locator("#mistakes img").first
    assert picture.get_attribute("alt") == f"{EVIL}/0.jpg: {EVIL} predicted as dog, 90 %"
    assert page.locator("img").count() == 4
    assert "differ from earlier ones. Shift 0.21" in page.locator("#drift").inner_text()
    moved = page.locator("#drift img").get_attribute("alt")
    assert moved == f"moved: predicted as {EVIL}, distance 0.40"
    holds = page.locator("#holds").inner_text()
    assert "500 of 500 images" in holds
    assert f"a session of {WEEKS}9 was interrupted after 7 steps" in holds
    assert "12 MB" in holds
    page.locator("#accuracy .plot").focus()
    page.keyboard.press("ArrowRight")
    assert "after session 1" in page.locator("#accuracy .tip").inner_text()
    page.wait_for_timeout(300)
    assert [url for url in opened.asked if not url.startswith("data:")] == [address]


@every_look
def test_the_page_of_a_learner_fits_and_is_accessible(opened, address, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    page = opened(address, viewport=WIDTHS[size], color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[size]["width"]
    found = axe.Axe().run(page).response["violations"]
    grave = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == []


def test_an_evaluation_has_a_page_and_many_classes_a_picture(opened, tmp_path):
    names = [f"class {n}" for n in range(40)]
    page = LearnerPage(title="memory on test", evaluation=measured(names, "test"))
    write_learner_page(page, tmp_path / "page.html")
    shown = opened((tmp_path / "page.html").as_uri())
    assert shown.locator("#about").inner_text() == "test"
    note = shown.locator("#classes .note").inner_text()
    assert note.startswith(
        "Accuracy 90.0 % on 400 images. The learner was given 120 of them before"
    )
    assert "emu (1, mostly predicted as class 0)" in note
    assert "1 file could not be read" in note
    canvas = shown.locator("#confusions canvas")
    assert canvas.evaluate("canvas => [canvas.width, canvas.height]") == [40, 40]
    assert shown.locator("#accuracy, #holds, #next").first.is_hidden()


def test_a_learner_of_many_sessions_or_of_none_has_a_page(opened, tmp_path):
    many = inspected(["cat", "dog"], 60)
    write_learner_page(LearnerPage(title="year", inspection=many), tmp_path / "many.html")
    page = opened((tmp_path / "many.html").as_uri())
    canvas = page.locator("#accuracy canvas.heat-map")
    assert canvas.count() == 1
    # The last session was not learned after the first one, so there is no accuracy to draw.
    pixel = "canvas => [...canvas.getContext('2d').getImageData(59, 0, 1, 1).data]"
    assert canvas.evaluate(pixel) == [0, 0, 0, 0]
    none = structs.replace(many, sessions=[], held_out=None, buffer=None, drift=None, advice=[])
    write_learner_page(LearnerPage(title="new", inspection=none), tmp_path / "none.html")
    page = opened((tmp_path / "none.html").as_uri())
    assert page.locator("#next, #accuracy, #sessions, #drift").first.is_hidden()
    assert cells(page, "#classes") == [["cat", "100"], ["dog", "100"]]
