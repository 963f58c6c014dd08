"""Packages import only the packages that the contracts in pyproject.toml allow."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent
ROOT = PACKAGE.parents[1]
FILES = sorted(file for file in PACKAGE.rglob("*.py") if not file.name.startswith("test_"))


def test_rooms_import_only_what_they_may(tmp_path):
    """Check the contracts in pyproject.toml on the package without its tests."""
    hidden = shutil.ignore_patterns("test_*", "conftest.py", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "lord", ignore=hidden)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_every_file_is_short():
    long = {str(file) for file in FILES if len(file.read_text().splitlines()) > 300}
    assert not long


@pytest.mark.parametrize(
    ("package", "slow"), [("lord.cli.main", ["torch"]), ("lord.studies", ["scipy", "matplotlib"])]
)
def test_slow_imports_wait_until_they_are_needed(package, slow):
    check = f"import sys, {package}; assert not sys.modules.keys() & {slow}"
    subprocess.run([sys.executable, "-c", check], check=True)
