"""The tutorial and the examples do what they say, command by command."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BLOCKS = re.findall(
    r"^```(sh|python)\n(.*?)^```", (ROOT / "docs/tutorial.md").read_text(), re.M | re.S
)


def run(command, folder):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def test_every_command_of_the_tutorial_works(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    assert len(BLOCKS) > 6
    for kind, text in BLOCKS:
        if kind == "python":
            run([sys.executable, "-c", text], tmp_path)
            continue
        for line in text.strip().splitlines():
            program, *arguments = shlex.split(line)
            assert program == "lord"
            run([sys.executable, "-m", "lord", *arguments], tmp_path)
    assert (tmp_path / "buffer.png").stat().st_size > 0
    assert "## Against" in (tmp_path / "study" / "README.md").read_text()


def test_a_method_runs_in_a_loop_of_ones_own(tmp_path):
    out = run([sys.executable, str(ROOT / "examples" / "own_loop.py")], tmp_path)
    final = re.search(r"task 5: ([\d.]+) %", out)
    assert float(final[1]) > 60
    assert "FLOPs in" in out
