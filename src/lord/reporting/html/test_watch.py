"""The page that `lord report` serves."""

import http.client
import re
import signal
import time

import pytest

from lord.test_forked import Forked


@pytest.fixture
def served(tmp_path):
    process = Forked("report", "--watch", str(tmp_path))
    yield process, process.line(r"(http\S+)")[1]
    process.kill()


def answer(address, path="/", **headers):
    link = http.client.HTTPConnection(address.removeprefix("http://").strip("/"))
    link.request("GET", path, headers=headers)
    got = link.getresponse()
    return got.status, got.read(), got.getheader("ETag")


def test_it_answers_only_requests_for_its_address_and_stops_on_ctrl_c(served, tmp_path):
    process, address = served
    assert address.startswith("http://127.0.0.1:")
    port = address.strip("/").rpartition(":")[2]
    assert answer(address)[0] == 200
    assert answer(address, Host=f"localhost:{port}")[0] == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", ""):
        assert answer(address, "/data.json", Host=host)[0] == 421
    assert answer(address, "/../etc/passwd")[0] == 404
    status, _, tag = answer(address, "/data.json")
    assert status == 200
    assert answer(address, "/data.json", **{"If-None-Match": tag})[:2] == (304, b"")
    refused = Forked("report", "--watch", str(tmp_path), "--port", port)
    _, error = refused.communicate()
    assert refused.returncode == 2
    assert re.match(rf"error: (--)?port: {port} cannot be used: ", error)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate()
    assert (process.returncode, out.splitlines()[1:], error) == (0, ["stopped"], "")


def test_a_damaged_file_is_reported_and_does_not_stop_it(served, tmp_path):
    _, address = served
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("method: er\npreset: digits\nseed: 0\n")
    (tmp_path / "run" / "summary.json").write_text("{}")
    status, body, _ = answer(address)
    assert status == 500
    assert b"is not the summary of a run" in body
    (tmp_path / "run" / "summary.json").unlink()
    assert answer(address)[0] == 200


@pytest.mark.slow
def test_runs_in_progress_are_followed(served, opened, tmp_path):
    _, address = served
    page = opened(address, offline=False)
    assert page.locator("#about").inner_text() == "No runs yet."
    out = tmp_path / "er-seed0"
    given = "--method er --width 4 --epochs 4 --quiet --out"
    run = Forked("run", *given.split(), str(out))
    while not (out / "config.yaml").exists():
        assert run.poll() is None
        time.sleep(0.01)
    # The run may end within the two seconds between two requests of the page: pause it.
    run.send_signal(signal.SIGSTOP)
    try:
        page.locator("#progress li").wait_for()
        assert page.locator("#progress li b").inner_text() == "er, seed 0"
    finally:
        run.send_signal(signal.SIGCONT)
    page.locator("td.status", has_text="finished").wait_for()
    assert run.wait() == 0
    page.locator("#front canvas").wait_for()
    assert page.locator("#progress").is_hidden()
    assert page.locator("#live").inner_text().startswith("live")
    assert all(url.startswith((address, "data:")) for url in opened.asked)
