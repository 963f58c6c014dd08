"""A client that asks ``lord serve`` for the class of photographs, all the time."""

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

PAUSE, PATIENCE = 1.0, 120.0
"""Seconds between two questions, and seconds that a question may take."""


class Client:
    """Inside, a server answers for a learner, and a thread asks it for the class of photographs.

    Args:
        state: the learner's folder. It need not exist yet.
        files: photographs.
    """

    def __init__(self, state: Path, files: list[Path]) -> None:
        self.state, self.files = state, files
        self.answers: list[tuple[str, str, str]] = []
        """Name of the photograph, version of the learner, and class."""
        self.seconds: list[float] = []
        self.lost: list[str] = []
        self.server: subprocess.Popen[bytes] | None = None
        self.done = threading.Event()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.done.set()
        self.thread.join()

    def checked(self, expected: dict[str, dict[str, str]]) -> dict[str, object]:
        """Compare all answers with what each version of the learner says."""
        known = [each for each in self.answers if each[1] in expected]
        wrong = [each for each in known if expected[each[1]][each[0]] != each[2]]
        ordered = sorted(self.seconds)
        return {
            "answers": len(self.answers),
            "versions": len({version for _, version, _ in self.answers}),
            "wrong": len(wrong),
            "lost": dict(Counter(self.lost)),
            "of versions that were not noted": len(self.answers) - len(known),
            "median_seconds": ordered[len(ordered) // 2] if ordered else None,
            "p99_seconds": ordered[int(0.99 * len(ordered))] if ordered else None,
        }

    def _ask(self) -> None:
        while not (self.state / "state.safetensors").exists():
            if self.done.wait(PAUSE):
                return
        line = [sys.executable, "-m", "lord", "serve", str(self.state), "--port", str(self.port)]
        self.server = subprocess.Popen(line, stdout=subprocess.DEVNULL)
        self._wait_until_it_answers()
        number = 0
        while not self.done.wait(PAUSE):
            file = self.files[number % len(self.files)]
            start = time.perf_counter()
            try:
                found = self._post(file)
            except OSError as error:
                self.lost.append(str(error))
            else:
                self.answers.append((file.name, found["version"], found["images"][0]["label"]))
                self.seconds.append(round(time.perf_counter() - start, 4))
            number += 1
        self.server.terminate()
        self.server.wait()

    def _wait_until_it_answers(self) -> None:
        while not self.done.wait(PAUSE):
            try:
                self._post(self.files[0])
            except OSError:
                continue
            return

    def _post(self, file: Path) -> dict[str, object]:  # type: ignore[type-arg]
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/predict",
            data=file.read_bytes(),
            headers={"Content-Type": "image/jpeg"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            found: dict[str, object] = json.load(answer)
        return found
