"""Runs that are forked from a process which has imported the package. That import takes seconds."""

import json
import os
import runpy
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from lord.config import PARENT

CODE = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)  # the study gets it too, and stops the runs
import lord.cli.main, lord.training, torch._dynamo  # optimizers import the last one
from lord.studies.engines.forks import serve
serve()
"""
POLL = 0.05
"""Seconds between two looks of the server at its runs."""


class Forks:
    """Starts runs, by orders to a server. The server begins with the first of them."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._runs: list[ForkedRun] = []

    def start(self, arguments: list[str], log: Path, variables: dict[str, str]) -> "ForkedRun":
        """Start ``lord`` as a process that ends when this one does.

        Args:
            arguments: of the command.
            log: file for its output and its errors.
            variables: environment variables to set.
        """
        if self._server is not None and self._server.poll() is not None:
            while self.read(0):  # its runs learn that it was killed
                pass
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-c", CODE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # what is not read yet can be selected
            )
        log.write_bytes(b"")  # it is read even if the server cannot start
        run = ForkedRun(self)
        order = {"number": len(self._runs), "arguments": arguments}
        order |= {"log": str(log.absolute()), "variables": variables}
        self._runs.append(run)
        assert self._server.stdin
        self._server.stdin.write(json.dumps(order).encode() + b"\n")
        return run

    def close(self) -> None:
        """End the server, and with it all runs."""
        if self._server is not None:
            self._server.communicate()  # closes its input

    def read(self, timeout: float | None = None) -> bool:
        """Read what the server says next of any run. Return whether it said something in time."""
        if self._server is None:
            return False
        said: IO[bytes] | None = self._server.stdout
        assert said
        if not select.select([said], [], [], timeout)[0]:
            return False
        if line := said.readline():
            number, what, value = line.decode().split()
            setattr(self._runs[int(number)], what, int(value))
            return True
        self._server.communicate()  # it was killed
        for run in self._runs:
            run.code = self._server.returncode if run.code is None else run.code
        self._server = None
        return False


class ForkedRun:
    """A run as ``subprocess.Popen`` has it, as far as engines need it."""

    def __init__(self, forks: Forks) -> None:
        self.forks = forks
        self.pid: int | None = None
        self.code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code; None as long as the run has not ended."""
        while self.code is None and self.forks.read(0):
            pass
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code.

        Raises:
            subprocess.TimeoutExpired: if the run has not ended after ``timeout`` seconds.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while self.code is None:
            left = None if until is None else max(until - time.monotonic(), 0)
            if not self.forks.read(left) and self.code is None:
                raise subprocess.TimeoutExpired("lord", timeout or 0)
        return self.code

    def send_signal(self, number: int) -> None:
        while self.pid is None and self.code is None:
            self.forks.read()  # the server is still importing
        if self.pid is not None and self.poll() is None:
            with suppress(ProcessLookupError):  # it may end meanwhile
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def serve() -> None:
    """Fork a run for each order on the input. Print its process id, and its exit code at its end.

    When the study ends, the input ends, and with it this process. Its runs then have another
    parent, and stop.
    """
    runs: dict[int, int] = {}

    def say(number: int, what: str, value: int) -> None:
        try:
            print(number, what, value, flush=True)
        except BrokenPipeError:  # the study was killed
            os._exit(1)

    with open(0, "rb", buffering=0, closefd=False) as orders:
        while True:
            if select.select([orders], [], [], POLL)[0]:
                if not (line := orders.readline()):
                    return
                order = json.loads(line)
                number, pid = order.pop("number"), os.fork()
                if not pid:
                    break
                runs[pid] = number
                say(number, "pid", pid)
            while runs and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                say(runs.pop(ended[0]), "code", os.waitstatus_to_exitcode(ended[1]))
    _become(**order)


def _become(arguments: list[str], log: str, variables: dict[str, str]) -> None:
    """Turn this process into a ``lord`` command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ |= variables | {PARENT: str(os.getppid())}
    output = os.open(log, os.O_WRONLY)
    for place, stream in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(stream, place)
    sys.argv = ["lord", *arguments]
    runpy.run_module("lord", run_name="__main__", alter_sys=True)
