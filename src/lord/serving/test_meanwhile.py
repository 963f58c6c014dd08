"""Answers while sessions end, and while the server is killed and started again."""

import threading
import time

import pytest

from lord.learner import STATE_FILE, Learner
from lord.serving.conftest import DIGITS, digits, png, start, taught
from lord.storage import digest_of

IMAGES = DIGITS.test_images[:20]


class Asker(threading.Thread):
    """Asks about one image after another. What is not answered is asked again."""

    def __init__(self, servers):
        super().__init__()
        self.servers, self.answers, self.again, self.done = servers, [], 0, False

    def run(self):
        content = [png(image) for image in IMAGES]
        while not self.done:
            row = len(self.answers) % len(IMAGES)
            try:
                status, _, found = self.servers[-1].predict(content[row])
            except OSError:
                status = 0
            if status == 200:
                self.answers.append((row, found))
            else:
                self.again += 1
                time.sleep(0.05)


def answers_of(folder):
    """The version of the learner in a folder, and what it says of each image."""
    found = Learner.load(folder).predictions(IMAGES)
    version = digest_of(folder / STATE_FILE)[:12]
    return version, [(each.label, pytest.approx(each.confidence, abs=1e-5)) for each in found]


@pytest.mark.slow
def test_every_answer_is_that_of_the_session_it_names_and_none_is_lost(tmp_path):
    taught(tmp_path, "0", "1")
    known = dict([answers_of(tmp_path)])
    servers = [start(tmp_path)]
    askers = [Asker(servers) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for new in ("2", "3", "4"):
            learner = Learner.load(tmp_path)
            images, labels = digits("0", new)

            def pause(learner=learner):  # a checkpoint after each step
                learner.save(tmp_path / STATE_FILE)

            learner.learn(images, labels, pause=pause)
            learner.save(tmp_path / STATE_FILE)
            known |= [answers_of(tmp_path)]
            if new == "3":
                servers[-1].kill()
                servers.append(start(tmp_path, port=servers[-1].port))
            until = time.monotonic() + 20
            while time.monotonic() < until:
                if servers[-1].ask("GET", "/health")[2]["session"] == len(learner.sessions):
                    break
            time.sleep(1)
    finally:
        for asker in askers:
            asker.done = True
        for asker in askers:
            asker.join()
        servers[-1].kill()
    answers = [answer for asker in askers for answer in asker.answers]
    assert {found["session"] for _, found in answers} == {1, 2, 3, 4}
    assert sum(asker.again for asker in askers) > 0
    for row, found in answers:
        each = found["images"][0]
        assert (each["label"], each["confidence"]) == known[found["version"]][row]
