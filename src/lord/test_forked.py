"""Processes of the ``lord`` command that need not import the package.

That import takes seconds. A forked process starts from a server that has imported the package. It
is a process like any other: it has an exit code and a session, and it can be killed.
"""

import os
import re
import shutil
import signal
import sys
import tempfile
import time
import weakref
from multiprocessing import get_context
from pathlib import Path

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "lord.test_forked",
        "lord.cli.main",
        "lord.learner",
        "lord.studies",
        "lord.reporting.pictures",
        "torch._dynamo",  # optimizers import it at their first step
    ]
)


class Forked:
    """A ``lord`` command in its own process; used like ``subprocess.Popen``.

    Args:
        words: arguments of the command. After ``-c`` comes Python code, as for ``python``.
        cwd: working folder.
        variables: environment variables to set.
    """

    def __init__(self, *words: str, cwd: Path | None = None, **variables: str) -> None:
        self.outputs = Path(tempfile.mkdtemp(prefix="forked-"))
        weakref.finalize(self, shutil.rmtree, self.outputs, ignore_errors=True)
        arguments = (words, str(cwd or Path.cwd()), os.environ | variables, str(self.outputs))
        self.process = CONTEXT.Process(target=_run, args=arguments, daemon=True)
        self.process.start()
        self.pid = self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        assert self.returncode is not None, "the process has not ended"
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.process.kill()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end of the process. Return its output and its errors."""
        self.wait(timeout)
        return self.printed("out"), self.printed("error")

    def printed(self, name: str = "out") -> str:
        """Return the output until now, or the errors."""
        file = self.outputs / name
        return file.read_text() if file.exists() else ""

    def line(self, pattern: str) -> re.Match[str]:
        """Wait for a line that starts with a pattern. Return the match."""
        while not (found := re.search(rf"^{pattern}.*\n", self.printed(), re.M)):
            assert self.poll() is None, self.communicate()
            time.sleep(0.02)
        return found


def _run(words: tuple[str, ...], cwd: str, environment: dict[str, str], outputs: str) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for place, name in ((1, "out"), (2, "error")):
        os.dup2(os.open(f"{outputs}/{name}", os.O_WRONLY | os.O_CREAT), place)
    if words[0] == "-c":
        sys.path.insert(0, "")
        exec(words[1], {"__name__": "__main__"})
        return
    from lord.cli.main import main  # noqa: PLC0415 (not at the import of every test)

    sys.argv[1:] = words
    main()


def test_a_forked_command_prints_and_ends_as_a_process_of_its_own_does(tmp_path, monkeypatch):
    done = Forked("methods", "er")
    out, error = done.communicate()
    assert (done.returncode, "replay" in out, error) == (0, True, "")
    done = Forked("methods", "ar")
    assert done.communicate()[1].startswith("error: ")
    assert done.returncode == 2
    monkeypatch.setenv("LORD_TEST", "given")
    code = "import os; print(os.environ['LORD_TEST'], os.getcwd()); 1 / 0"
    done = Forked("-c", code, cwd=tmp_path)
    out, error = done.communicate()
    assert (done.returncode, out) == (1, f"given {tmp_path}\n")
    assert "ZeroDivisionError" in error


def test_a_forked_command_can_be_killed():
    process = Forked("-c", "import time; time.sleep(600)")
    time.sleep(0.1)
    assert process.poll() is None
    process.kill()
    assert process.wait() == -signal.SIGKILL
