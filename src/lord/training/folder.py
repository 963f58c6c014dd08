"""The folder of a run. Every file in it is either complete or absent."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from lord.config import CONTENTS, UserError, first_line, in_plugin
from lord.data.sources import recognise
from lord.evaluation import FAILURE, TABLE, forget_failure, read_failure, write_failure
from lord.learner import holds_learner
from lord.storage import previous, remove_state, write_atomic, write_json, write_text

RESULTS = (
    *("summary.json", "metrics.jsonl", "model.safetensors", "classes.json", "buffer.png"),
    TABLE,
)
METADATA = ("accuracy.json", "environment.json")
"""Files of a run that are removed together with its results."""
CHECKPOINT = "checkpoint.safetensors"
PLUGIN = "plugin"
"""Folder with the source of the plug-in."""
CONFIG = "config.yaml"
MADE = "# of this run, complete: 'lord run --config' repeats it\n"
"""First line of a run's config.yaml. A file without it is never replaced."""


def claim(folder: Path, *, overwrite: bool) -> None:
    """Prepare ``folder`` for results, and remove older ones.

    Raises:
        UserError: if it holds results and ``overwrite`` is not set, or it cannot be written.
    """
    if holds_learner(folder):
        raise UserError("holds a learner", field="out", given=folder, hint="choose another `out`")
    held = [name for name in RESULTS if (folder / name).exists()]
    if held and not overwrite:
        begun = is_ours(folder) and not (folder / "summary.json").exists()
        raise UserError(
            "holds a run that has not ended" if begun else "holds results",
            field="out",
            given=folder,
            hint=("set `resume` to continue it, " if begun else "")
            + "choose another `out`, or set `overwrite`",
        )
    if not is_ours(folder):
        kept = [CONFIG, *METADATA, *RESULTS, CHECKPOINT, previous(Path(CHECKPOINT)).name]
        # A run that could not begin leaves only its error.
        kept += [FAILURE] if read_failure(folder) is None else []
        for file in (folder / name for name in kept):
            if file.is_file():
                raise UserError(
                    f"'{file}' does not belong to a run and would be replaced",
                    field="out",
                    hint="choose another `out`",
                )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in held:
            (folder / name).unlink()
        remove_state(folder / CHECKPOINT)
        write_text(folder / ".writable", "")
        (folder / ".writable").unlink()
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", field="out", given=folder) from None


def check_apart(folder: Path, images: str) -> None:
    """Check that results are not written among the images, because they would look like a class.

    Raises:
        UserError: if ``folder`` lies inside the folder of the images.
    """
    path = Path(images)
    inside = path.is_dir() and folder.resolve().is_relative_to(path.resolve())
    if inside and recognise(path)[0] == "image folder":
        raise UserError(
            "is inside the folder of the images",
            field="out",
            given=folder,
            hint="choose another `out`",
        )


def holds_run(folder: Path) -> bool:
    """Return whether ``folder`` holds any file of a run."""
    return is_ours(folder) or any((folder / name).exists() for name in RESULTS)


def is_ours(folder: Path) -> bool:
    """Return whether a run was begun in ``folder``."""
    file = folder / CONFIG
    return file.is_file() and file.read_bytes().startswith(MADE.encode())


def write_config(folder: Path, values: dict[str, Any]) -> None:
    """Write the whole configuration of a run that begins or goes on."""
    forget_failure(folder)
    write_text(folder / CONFIG, MADE + yaml.safe_dump(values, sort_keys=False))


def write_plugin(folder: Path, hashes: Mapping[str, str]) -> None:
    """Write the source of a run's plug-in, before config.yaml, which records its hashes.

    Raises:
        UserError: if a file that does not belong to a run would be replaced.
    """
    for name, digest in hashes.items():
        file, content = folder / PLUGIN / name, CONTENTS[digest]
        if file.exists() and file.read_bytes() != content and not is_ours(folder):
            raise UserError(
                f"'{file}' does not belong to a run and would be replaced",
                field="out",
                hint="choose another `out`",
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, partial(Path.write_bytes, data=content))


class RunFolder:
    """Write the files of a run. Without a path, it writes no files."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def config(self, values: dict[str, Any]) -> None:
        """Write config.yaml, and the source of the plug-in if there is one."""
        if self.path:
            write_plugin(self.path, values.get("plugin", {}))
            write_config(self.path, values)

    @contextmanager
    def noting_errors(self) -> Iterator[None]:
        """Inside, an error that ends the run is also written to error.json."""
        try:
            yield
        except Exception as error:
            if self.path:
                text = str(error) if isinstance(error, UserError) else in_plugin(error)
                with suppress(OSError):  # such as a full disk, which may be the error
                    write_failure(self.path, text or f"{type(error).__name__}: {first_line(error)}")
            raise

    def environment(self, device: torch.device, data_key: str) -> None:
        """Write environment.json, with the device and the key of the images."""
        self.json("environment.json", environment() | {"device": str(device), "data_key": data_key})

    def metric(self, **values: Any) -> None:
        """Append one line to metrics.jsonl.

        Raises:
            UserError: if it cannot be written.
        """
        if self.path:
            try:
                with (self.path / "metrics.jsonl").open("a") as file:
                    file.write(json.dumps(values) + "\n")
            except OSError as error:
                raise UserError(
                    f"cannot be written: {error.strerror}", field="out", given=self.path
                ) from None

    def length(self) -> int:
        """Return the size of metrics.jsonl in bytes."""
        file = self.path / "metrics.jsonl" if self.path else None
        return file.stat().st_size if file and file.exists() else 0

    def cut(self, length: int) -> None:
        """Cut metrics.jsonl to ``length`` bytes, because the rest will be written again."""
        if self.path and self.length() > length:
            os.truncate(self.path / "metrics.jsonl", length)

    def json(self, name: str, value: Any) -> None:
        """Write plain values to a file as JSON."""
        if self.path:
            write_json(self.path / name, value)


def environment() -> dict[str, Any]:
    """Return the versions and the machine of this process, to document the origin of figures."""
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
    """Return the commit of the package's checkout, marked "+" if files differ from it."""
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
