"""Run every command and example of the documentation."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lord.test_forked import Forked

ROOT = Path(__file__).parents[3]
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if re.search(r"^```(sh|python)$", page.read_text(), re.M)
]


def typed(words, folder):
    """Run a command or Python code as a user does. Return exit code, output and errors."""
    command = [sys.executable, *(words if words[0] == "-c" else ["-m", "lord", *words])]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def forked(words, folder):
    """Run a command or Python code in less time. Return exit code, output and errors."""
    process = Forked(*words, cwd=folder)
    texts = process.communicate()
    return process.returncode, *texts


def follow(page, folder, run):
    """Run the commands and the Python of a page; Python that starts with "# name.py" is a file.

    A command may end with the exit code that is expected: "# exit code 3".
    """
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```", page.read_text(), re.M | re.S)
    for kind, text in blocks:
        if kind == "python":
            if file := re.match(r"# (\w+\.py)\n", text):
                (folder / file[1]).write_text(text)
            else:
                code, *texts = run(["-c", text], folder)
                assert code == 0, (text, *texts)
            continue
        for line in text.strip().splitlines():
            wanted = re.search(r"# exit code (\d)$", line)
            program, *words = shlex.split(line, comments=True)
            assert program == "lord"
            code, *texts = run(words, folder)
            assert code == (int(wanted[1]) if wanted else 0), (line, *texts)
    return len(blocks)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_works(page, tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    assert follow(page, tmp_path, typed if page.stem == "first-learner" else forked) > 0
    if page.stem == "first-learner":
        assert (tmp_path / "buffer.png").stat().st_size > 0
    if page.stem == "first-comparison":
        assert "## Compared with" in (tmp_path / "study" / "README.md").read_text()


def test_pages_of_commands_are_found():
    assert {"README", "index", "first-learner", "first-comparison", "add-a-method"} <= {
        page.stem for page in PAGES
    }


@pytest.mark.slow
def test_a_method_runs_in_a_loop_of_ones_own(tmp_path):
    code, out, error = forked(["-c", (ROOT / "examples" / "own_loop.py").read_text()], tmp_path)
    assert code == 0, error
    final = re.search(r"task 5: ([\d.]+) %", out)
    assert float(final[1]) > 60
    assert "FLOPs in" in out
