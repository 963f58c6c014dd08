"""A learner on disk, and a server in a separate process."""

import http.client
import io
import json

import pytest
import torch
from PIL import Image

from lord.data import DataConfig, load_images
from lord.learner import STATE_FILE, Learner
from lord.test_forked import Forked

DIGITS = load_images(DataConfig())
SECRET = "0123456789abcdef"


def digits(*names, count=40):
    """Return images of some digits, and their labels as text."""
    rows = [(DIGITS.train_labels == int(name)).nonzero().flatten()[:count] for name in names]
    labels = [name for name in names for _ in range(count)]
    return DIGITS.train_images[torch.cat(rows)], labels


def png(image, size=None, kind="PNG"):
    """Return an image of C x H x W uint8 as the bytes of a file."""
    picture = Image.fromarray(image[0].numpy())
    file = io.BytesIO()
    (picture.resize(size) if size else picture).save(file, kind)
    return file.getvalue()


def taught(folder, *names, **settings):
    """Make a small learner that has learned some digits, in a folder."""
    learner = Learner(**{"network": "cnn", "width": 4, "epochs": 1, "method": "er", **settings})
    learner.learn(*digits(*names))
    folder.mkdir(exist_ok=True)
    learner.save(folder / STATE_FILE)
    return learner


class Client:
    """Sends requests to a server that runs."""

    def __init__(self, process, port):
        self.process, self.port = process, port

    def ask(self, method, path, body=None, headers=None, token=SECRET):
        """Return status, headers and body (from JSON, if it is) of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request(method, path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, answer.headers, json.loads(text) if is_json else text.decode()
        finally:
            connection.close()

    def predict(self, *files, query="", kind=None):
        """Post images: one as a raw body, or several as a form."""
        if kind or len(files) == 1:
            return self.ask(
                "POST", f"/predict{query}", files[0], {"Content-Type": kind or "image/png"}
            )
        mark = b"--xx\r\nContent-Disposition: form-data; name=image; filename="
        parts = [mark + b"%d.png\r\n\r\n" % n + each + b"\r\n" for n, each in enumerate(files)]
        kind = "multipart/form-data; boundary=xx"
        body = b"".join(parts) + b"--xx--\r\n"
        return self.ask("POST", f"/predict{query}", body, {"Content-Type": kind})

    def kill(self):
        """Kill the server."""
        self.process.kill()
        self.process.communicate()


def start(state, *flags, port=0):
    """Start a server, and return its client."""
    process = Forked("serve", str(state), "--port", str(port), *flags, LORD_TOKEN=SECRET)
    return Client(process, int(process.line(r"listening at http://127.0.0.1:(\d+)")[1]))


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """The folder of a learner of two digits."""
    folder = tmp_path_factory.mktemp("serving") / "state"
    taught(folder, "0", "1")
    return folder
