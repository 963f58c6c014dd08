"""Many runs, each a process of its own; what is finished is never run again."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec
import yaml

from lord.config import UserError
from lord.data import load_images
from lord.evaluation import RunRecord, Study, read_record
from lord.learner import previous, write_text
from lord.streams import make_stream
from lord.training.config import RunConfig, difference, flat, folder_name, read_yaml
from lord.training.folder import CHECKPOINT, claim
from lord.training.run import PARENT


def compare(
    configs: Sequence[RunConfig],
    out: Path,
    *,
    jobs: int = 0,
    overwrite: bool = False,
    plugin: Path | None = None,
    say: Callable[[str], None] = print,
) -> list[RunRecord]:
    """Run all configurations, several at a time, and return their records in that order.

    Args:
        configs: each gets the folder ``out/<label>-seed<seed>``.
        out: holds the folders; finished runs found in it are not repeated.
        jobs: processes at a time; 0 for one a core. Cores are shared out among them.
        overwrite: repeat finished runs.
        plugin: Python file each run is told of.
        say: told in one line of each run that was found or has finished.

    Raises:
        UserError: if a finished run in ``out`` had another configuration, or a run failed.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    folders = {out / folder_name(config): config for config in configs}
    _check(folders, overwrite)
    pending = []
    for folder, config in folders.items():
        if not overwrite and (folder / "summary.json").is_file():
            say(f"{folder.name}: finished before, kept")
        else:
            pending.append((folder, config))
    jobs = min(jobs or cores, max(len(pending), 1))
    if pending:
        for config in {c.data: c for _, c in pending}.values():  # decode once, complain early
            make_stream(load_images(config.data), config.stream, config.seed)
        _run_all(pending, jobs, max(cores // jobs, 1), plugin, overwrite, say)
    return [read_record(folder) for folder in folders]


def describe(
    out: Path, configs: Sequence[RunConfig], command: str, against: str | None = None
) -> None:
    """Write study.json: the command behind a comparison, and what its runs were made by and on.

    Args:
        against: label of what the others are compared with.
    """
    seen: dict[str, set[str]] = {"commits": set(), "versions": set(), "machines": set()}
    dates = []
    for config in configs:
        made = json.loads((out / folder_name(config) / "environment.json").read_bytes())
        seen["commits"].add(str(made["commit"]))
        names = ("lord", "torch", "python")
        seen["versions"].add(", ".join(f"{name} {made[name]}" for name in names))
        seen["machines"].add(f"{made['processor']}, {made['cores']} cores, {made['device']}")
        dates.append(made["date"])
    found = {name: sorted(values) for name, values in seen.items()}
    study = Study(command=command, dates=[min(dates), max(dates)], against=against, **found)
    encoded = msgspec.json.format(msgspec.json.encode(study), indent=1)
    write_text(out / "study.json", encoded.decode() + "\n")


def line(record: RunRecord) -> str:
    """A finished run in one line."""
    class_il, task_il = record.headline
    return (
        f"{record.label}-seed{record.seed}: Class-IL {class_il:.1f}, Task-IL {task_il:.1f}, "
        f"{record.training_flops:.3g} FLOPs, {record.wall_s:.0f} s"
    )


def _check(folders: dict[Path, RunConfig], overwrite: bool) -> None:
    for folder, config in folders.items():
        if not overwrite and (folder / "summary.json").is_file():
            difference(read_yaml(folder / "config.yaml"), flat(config), folder)


def _has_checkpoint(folder: Path) -> bool:
    file = folder / CHECKPOINT
    return file.exists() or previous(file).exists()


def _run_all(
    pending: list[tuple[Path, RunConfig]],
    jobs: int,
    threads: int,
    plugin: Path | None,
    overwrite: bool,
    say: Callable[[str], None],
) -> None:
    alive: set[subprocess.Popen[bytes]] = set()
    stopping = threading.Event()

    def one(folder: Path, config: RunConfig) -> RunRecord:
        if overwrite or not _has_checkpoint(folder):
            claim(folder, overwrite=True)
        own = config.training.threads or threads
        write_text(folder / "config.yaml", yaml.safe_dump(flat(config) | {"threads": own}))
        command = [sys.executable, "-m", "lord", "run", "--resume", "--quiet"]
        command += ["--config", str(folder / "config.yaml"), "--out", str(folder)]
        command += ["--plugin", str(plugin)] if plugin else []
        with (folder / "log.txt").open("wb") as log:
            if stopping.is_set():
                raise UserError("stopped")
            environment = os.environ | {PARENT: str(os.getpid())}
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
            alive.add(process)
            code = process.wait()
            alive.discard(process)
        if code:
            said = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
            why = said[-1].removeprefix("error: ") if said else f"ended with code {code}"
            raise UserError(f"{folder.name}: {why} (see {folder / 'log.txt'})")
        return read_record(folder)

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(one, folder, config) for folder, config in pending]
        failed: list[str] = []
        try:
            for future in as_completed(futures):
                if isinstance(error := future.exception(), UserError):
                    failed.append(str(error))
                    say(f"failed: {error}")
                else:
                    say(line(future.result()))
        except BaseException:
            stopping.set()
            for process in list(alive):
                process.send_signal(signal.SIGINT)
            raise
    if failed:
        raise UserError(f"{len(failed)} of {len(pending)} runs failed, the first: {failed[0]}")
