"""The folder a run leaves: every file complete or not there."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from lord.config import UserError
from lord.data.sources import recognise
from lord.learner import exists
from lord.storage import remove_state, write_json, write_text

RESULTS = ("summary.json", "metrics.jsonl", "model.safetensors", "classes.json", "buffer.png")
METADATA = ("accuracy.json", "environment.json")
"""Left too, but no results to anybody who has not them all."""
CHECKPOINT = "checkpoint.safetensors"
CONFIG = "config.yaml"
MADE = "# of this run, complete: 'lord run --config' repeats it\n"
"""Begins every config.yaml of a run; no other is replaced."""


def claim(folder: Path, *, overwrite: bool) -> None:
    """Make ``folder`` ready to take results, and empty of older ones.

    Raises:
        UserError: if it holds results and may not be overwritten, or cannot be written.
    """
    if exists(folder):
        raise UserError(f"out: '{folder}' holds a learner: give another --out")
    held = [name for name in RESULTS if (folder / name).exists()]
    if held and not overwrite:
        begun = is_ours(folder) and not (folder / "summary.json").exists()
        on = "a run that has not ended: --resume goes on with it; else" if begun else "results:"
        raise UserError(f"'{folder}' already holds {on} give another --out, or --overwrite")
    if not is_ours(folder):
        for own in (folder / name for name in (CONFIG, *METADATA)):
            if own.is_file():
                raise UserError(
                    f"'{own}' is not a run's, and would be replaced: give another --out"
                )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in held:
            (folder / name).unlink()
        remove_state(folder / CHECKPOINT)
        write_text(folder / ".writable", "")
        (folder / ".writable").unlink()
    except OSError as error:
        raise UserError(f"cannot write to '{folder}': {error.strerror}") from None


def check_apart(folder: Path, images: str) -> None:
    """See that results do not come to lie among the images, where they would be taken for a class.

    Raises:
        UserError: if they would.
    """
    path = Path(images)
    inside = path.is_dir() and folder.resolve().is_relative_to(path.resolve())
    if inside and recognise(path)[0] == "image folder":
        raise UserError(f"out: '{folder}' is in the folder of the images: give another --out")


def holds_run(folder: Path) -> bool:
    """Whether there is anything of a run in ``folder``."""
    return is_ours(folder) or any((folder / name).exists() for name in RESULTS)


def is_ours(folder: Path) -> bool:
    """Whether a run was begun in ``folder``."""
    own = folder / CONFIG
    return own.is_file() and own.read_bytes().startswith(MADE.encode())


def write_config(folder: Path, values: dict[str, Any]) -> None:
    """The whole configuration of a run, for the next one to repeat."""
    write_text(folder / CONFIG, MADE + yaml.safe_dump(values, sort_keys=False))


class RunFolder:
    """Writes what a run leaves. With no path, nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def config(self, values: dict[str, Any]) -> None:
        if self.path:
            write_config(self.path, values)

    def environment(self, device: torch.device, data_key: str) -> None:
        self.json("environment.json", environment() | {"device": str(device), "data_key": data_key})

    def metric(self, **values: Any) -> None:
        """Append one line to metrics.jsonl."""
        if self.path:
            try:
                with (self.path / "metrics.jsonl").open("a") as file:
                    file.write(json.dumps(values) + "\n")
            except OSError as error:
                raise UserError(f"cannot write to '{self.path}': {error.strerror}") from None

    def length(self) -> int:
        """Bytes of metrics.jsonl."""
        file = self.path / "metrics.jsonl" if self.path else None
        return file.stat().st_size if file and file.exists() else 0

    def cut(self, length: int) -> None:
        """Drop what metrics.jsonl holds beyond ``length``: it will come again."""
        if self.path and self.length() > length:
            os.truncate(self.path / "metrics.jsonl", length)

    def json(self, name: str, value: Any) -> None:
        if self.path:
            write_json(self.path / name, value)


def environment() -> dict[str, Any]:
    """Versions and machine, for a figure to be traced back to."""
    return {
        "lord": version("lord-cl"),
        "commit": _commit(),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit() -> str | None:
    """Of the checkout this package is in; marked '+' where files differ from it."""
    here = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*here, "rev-parse", "HEAD"], capture_output=True, check=True)
        changed = subprocess.run(
            [*here, "status", "--porcelain", "-uno", "."], capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.decode().strip() + ("+" if changed.stdout.strip() else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
