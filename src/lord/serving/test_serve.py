"""A server in a separate process: answers, hostile requests, and a clean stop."""

import http.client
import io
import json
import re
import signal
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

from lord.conftest import refused
from lord.learner import STATE_FILE, Learner
from lord.serving.conftest import DIGITS, SECRET, digits, png, start
from lord.serving.limits import Limits
from lord.serving.uploads import SCAN, SCANS, Upload, decode_upload

SMALL = "--max-megabytes=0.1 --max-seconds=1.5 --max-images=3 --max-megapixels=0.1 --max-requests=3"
IMAGES = DIGITS.test_images


@pytest.fixture(scope="module")
def server(state):
    client = start(state, *SMALL.split(), "--verbose")
    yield client
    client.kill()


def test_an_image_gets_the_answer_of_the_learner(server, state):
    learner = Learner.load(state)
    expected = learner.predictions(IMAGES[:1])[0]
    status, _, found = server.predict(png(IMAGES[0]), query="?top=2")
    assert (status, found["session"]) == (200, 1)
    assert re.fullmatch("[0-9a-f]{12}", found["version"])
    row = found["images"][0]
    assert (row["label"], row["confidence"]) == (expected.label, pytest.approx(expected.confidence))
    assert row["top"][0]["label"] == expected.label
    assert sum(each["confidence"] for each in row["top"]) == pytest.approx(1)


def test_several_images_are_answered_in_order_and_a_bad_one_by_its_error(server, state):
    expected = Learner.load(state).predictions(IMAGES[:2])
    status, _, found = server.predict(png(IMAGES[0]), b"no image", png(IMAGES[1]))
    first, bad, last = found["images"]
    assert status == 200
    assert [first["label"], last["label"]] == [each.label for each in expected]
    assert [row["name"] for row in found["images"]] == ["0.png", "1.png", "2.png"]
    assert bad == {"name": "1.png", "error": "it is not an image of a known format"}


def test_answers_on_a_connection_that_stays_open_are_not_delayed(server):
    """An answer of two packets must not wait 40 ms for the first one's acknowledgement."""
    connection, times = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20), []
    for _ in range(40):
        begin = time.monotonic()
        connection.request("GET", "/health")
        connection.getresponse().read()
        times.append(time.monotonic() - begin)
    connection.close()
    assert min(times[20:]) < 0.03


def test_unknown_images_are_told(server):
    _, _, found = server.predict(png(IMAGES[0]), query="?unknown=true&false_alarms=0.2")
    row = found["images"][0]
    assert 0 <= row["unknown"] <= 1
    assert row["is_unknown"] == (row["unknown"] >= 0.8)
    status, _, found = server.predict(png(IMAGES[0]), query="?unknown=true&false_alarms=0.01")
    assert (status, "held-out images" in found["detail"]) == (422, True)


def test_a_monitor_sees_health_classes_and_metrics(server):
    assert server.ask("GET", "/health", token=None)[2]["status"] == "ok"
    assert server.ask("GET", "/classes")[2]["classes"] == ["0", "1"]
    text = server.ask("GET", "/metrics")[2]
    assert 'lord_requests_total{method="GET",path="/classes",status="200"}' in text
    assert "lord_model_session 1.0" in text
    assert "lord_model_reloads_total 0.0" in text


def test_the_page_loads_nothing_from_elsewhere(server):
    page = server.ask("GET", "/")[2]
    assert "POST /predict" in page
    assert "<script" not in page
    assert re.findall(r"(?:src|href)=.([\w:/.]+)", page) == ["openapi.json"]
    schema = server.ask("GET", "/openapi.json")[2]
    assert {"/predict", "/health", "/classes", "/metrics"} <= schema["paths"].keys()
    assert server.ask("GET", "/docs")[0] == 404


@pytest.mark.parametrize("token", [None, "", "0123456789abcdeg", SECRET[:-1], "\xff"])
@pytest.mark.parametrize("path", ["/classes", "/metrics", "/", "/openapi.json", "/predict"])
def test_a_client_without_the_token_learns_nothing(server, token, path):
    status, headers, found = server.ask("GET", path, token=token)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "Bearer TOKEN" in found["detail"]


def huge_png(side):
    """The first bytes of a PNG file of side x side pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


FORM = "multipart/form-data; boundary=xx"
FILE = '--xx\r\nContent-Disposition: form-data; name=a; filename="\\ud800"\r\n\r\nx'
POST_SCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"", "image/png"),
        (400, b"no form", FORM),
        (400, b"--xx\r\nContent-Disposition: form-data; name=a\r\n\r\ntext\r\n--xx--\r\n", FORM),
        (400, b"--xx\r\n" * 1000, "multipart/form-data"),
        (400, f"{FILE}\r\n--xx\r\nContent-".encode(), FORM),
        (422, f"{FILE}\r\n--xx--\r\n".encode(), f"{FORM}; charset=raw_unicode_escape"),
        (400, f"{FILE}\r\n--xx--\r\n".encode(), f"{FORM}; charset=undefined"),
        (413, b"x" * 100_001, "image/png"),
        (415, b"{]", "application/json"),
        (415, b"a=b", "application/x-www-form-urlencoded"),
        (415, b"x", "\xe9\xff"),
        (422, b"GIF89a", "image/gif"),
        (422, png(IMAGES[0])[:80], "image/png"),
        (422, png(IMAGES[0], (64, 64), "JPEG")[:700], "image/jpeg"),
        (422, png(IMAGES[0], (64, 64), "JPEG") + b"\xff\xda" * 100, "image/jpeg"),
        (422, png(IMAGES[0], (400, 400)), "image/png"),
        (422, huge_png(20_000), "image/png"),
        (422, huge_png(2**31 - 1), "image/png"),
        (422, POST_SCRIPT, "application/postscript; image/png"),
        (422, POST_SCRIPT, "image/x-eps"),
        (422, b"\0" * 50_000, "application/octet-stream"),
    ],
)
def test_a_body_that_is_no_image_is_refused(server, status, body, kind):
    if kind.startswith("application/postscript"):
        status = 415
    found = server.predict(body, kind=kind)
    assert found[0] == status
    assert found[2]["detail"]


def test_too_many_images_are_refused(server):
    assert server.predict(*[png(IMAGES[0])] * 3)[0] == 200
    for count in (4, 40):
        status, _, found = server.predict(*[png(IMAGES[0])] * count)
        assert (status, found["detail"]) == (413, "too many images; expected at most 3")


def test_wrong_parameters_are_answered_in_one_line(server):
    for query, word in (
        ("?top=0", "top"),
        ("?unknown=what", "unknown"),
        ("?top=" + "9" * 99, "top"),
    ):
        status, _, found = server.predict(png(IMAGES[0]), query=query)
        assert (status, found["detail"].partition(":")[0]) == (422, word)


def raw(server, *parts, pause=0.0):
    """Send bytes over a connection, and return everything that comes back until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        found = b""
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            while more := connection.recv(65536):
                found += more
        except ConnectionError:
            pass
        return found


HEAD = f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n".encode()
TYPE = b"Content-Type: image/png\r\n"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, b"what\r\n\r\n"),
        (400, b"GET / / HTTP/1.1\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000),
        (400, HEAD + b"Content-Length: -5\r\n\r\n"),
        (400, HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
        (413, HEAD + TYPE + b"Connection: close\r\nContent-Length: 99999999999\r\n\r\n"),
        (
            413,
            HEAD + TYPE + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"ffff\r\n" + b"x" * 65535 + b"\r\n" + b"ffff\r\n" + b"x" * 65535 + b"\r\n",
        ),
    ],
)  # fmt: skip
def test_what_is_not_http_is_refused(server, status, text):
    assert raw(server, text).startswith(f"HTTP/1.1 {status} ".encode())


def test_slow_clients_are_cut_off(server):
    start = time.monotonic()
    body = HEAD + TYPE + b"Connection: close\r\nContent-Length: 1000\r\n\r\n"
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(raw, server),  # it never says anything
            pool.submit(raw, server, *[b"G"] * 9, pause=0.25),
            pool.submit(raw, server, body, *[b"x"] * 6, pause=0.25),
            pool.submit(raw, server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"G", pause=0.25),
        ]
        silent, header, slow, second = [job.result() for job in jobs]
    assert time.monotonic() - start < 8
    assert (silent, header) == (b"", b"")
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert second.startswith(b"HTTP/1.1 200 ")


def test_many_connections_and_requests_get_an_answer_or_503(server):
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
    try:
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda _: server.predict(png(IMAGES[0])), range(64)))
    finally:
        for each in idle:
            each.close()
    assert {status for status, _, _ in found} <= {200, 503}
    assert any(status == 200 for status, _, _ in found)
    assert all(headers["Retry-After"] for status, headers, _ in found if status == 503)
    images = torch.stack([IMAGES[0]])
    assert server.predict(png(images[0]))[0] == 200


@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
def test_a_jpeg_with_too_many_scans_is_refused(kind):
    file, (one, other) = io.BytesIO(), (Image.new("RGB", (8, 8), each) for each in ("red", "blue"))
    several = {"save_all": True, "append_images": [other]} if kind == "MPO" else {}
    one.save(file, kind, **several)
    shape, limits = (3, 8, 8), Limits()
    assert decode_upload(Upload("a", file.getvalue()), shape, limits).shape == (1, *shape)
    with refused(None, problem="it has too many scans"):
        decode_upload(Upload("a", file.getvalue() + (SCANS + 1) * SCAN), shape, limits)


def test_nothing_above_was_a_defect_of_the_server(server):
    assert server.ask("GET", "/nowhere")[0] == 404
    text = server.ask("GET", "/metrics")[2]
    assert 'status="500"' not in text
    assert "lord_predictions_in_progress 0.0" in text
    assert 'path="other"' in text


def test_a_finished_session_is_served_and_a_running_one_is_not(server, state):
    """The last test of the server: it changes the learner."""
    before = server.ask("GET", "/health")[2]
    learner = Learner.load(state)

    def pause():
        learner.save(state / STATE_FILE)
        raise KeyboardInterrupt

    images, labels = digits("2", "3")
    with pytest.raises(KeyboardInterrupt):
        learner.learn(images, labels, pause=pause)
    time.sleep(1.5)
    assert server.ask("GET", "/health")[2] == before
    learner.learn(images, labels)
    learner.save(state / STATE_FILE)
    until = time.monotonic() + 20
    while (now := server.ask("GET", "/health")[2]) == before and time.monotonic() < until:
        time.sleep(0.1)
    assert (now["session"], now["status"]) == (2, "ok")
    assert server.ask("GET", "/classes")[2]["classes"] == ["0", "1", "2", "3"]
    expected = Learner.load(state).predictions(IMAGES[:1])[0]
    _, _, found = server.predict(png(IMAGES[0]))
    assert (found["session"], found["images"][0]["label"]) == (2, expected.label)
    (state / STATE_FILE).write_bytes(b"damaged")
    while now["status"] == "ok" and time.monotonic() < until:
        time.sleep(0.1)
        now = server.ask("GET", "/health")[2]
    assert now["status"] == "stale"
    assert server.predict(png(IMAGES[0]))[2] == found


def test_a_stopped_server_answers_what_it_has_accepted(server):
    content = png(IMAGES[0])
    head = HEAD + TYPE + f"Content-Length: {len(content)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head + content[:50])
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        connection.sendall(content[50:])
        answer = connection.recv(65536) + connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["images"][0]["label"] in "0123"
    out, _ = server.process.communicate(timeout=20)
    assert server.process.returncode == 0
    assert out.splitlines()[-1] == "stopped"
    assert "Traceback" not in out
    assert " POST /predict 200 " in out
    assert SECRET not in out
