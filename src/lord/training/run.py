"""One run: from a frozen configuration to a record and a folder."""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from lord.config import PARENT, UserError, as_path, expect, read_yaml, seeded
from lord.costs import Meter
from lord.data import ImageData, load_images
from lord.evaluation import RunRecord, finished, read_record
from lord.methods import AnyMethod
from lord.storage import locked, remove_state
from lord.streams import Stream
from lord.training.artifacts import Outcome, record_of, write_artifacts
from lord.training.budget import Epochs
from lord.training.checkpoints import Checkpoints, Saved, read_checkpoint
from lord.training.config import RunConfig, difference, flat, folder_name
from lord.training.folder import CHECKPOINT, CONFIG, RunFolder, check_apart, claim, is_ours
from lord.training.given import with_images
from lord.training.loop import Loop
from lord.training.memory import check_bytes, within_bytes
from lord.training.progress import RunLog
from lord.training.ranks import Ranks, joined
from lord.training.setup import (
    make_budget,
    make_generator,
    make_method,
    pick_device,
    stream_of,
    threads,
)
from lord.training.trackers import CheckedTracker, library


@dataclass(frozen=True)
class Options:
    """Where a run writes its results, as in ``run``. By default, it writes and shows nothing."""

    out: Path | None = None
    overwrite: bool = False
    resume: bool = False
    track: str | None = None
    console: Console | None = None


def run(
    config: RunConfig,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    track: str | None = None,
    console: Console | None = None,
    images: ImageData | None = None,
    stream: object = None,
) -> RunRecord:
    """Train one method on one stream, score it, and write its results.

    >>> import lord
    >>> record = lord.run(lord.compose("er", {"epochs": 1, "width": 4, "subset": 0.1}))
    >>> len(record.matrices.class_il)
    5

    Args:
        config: made by ``compose``.
        out: folder for the results; None to write nothing.
        overwrite: replace results that are in ``out`` already.
        resume: continue from the last checkpoint in ``out``, if there is one. The result is the
            same as without the interruption.
        track: tensorboard, mlflow or wandb. The figures are logged to it too.
        console: for warnings, and for a progress bar if it is a terminal. Otherwise, plain lines
            of progress go to standard error. None shows nothing.
        images: a data set in memory that ``lord.images`` made. The configuration has the data
            "memory". The images are stored in the cache, from which the run can be repeated.
        stream: tasks in memory, in place of ``images``: what ``lord.images_by_task`` made, a
            ``Stream``, or an Avalanche benchmark.

    Raises:
        UserError: for data that does not fit, a folder that holds results, or a loss that is not
            finite. Files written until then stay.
    """
    expect("config", config, RunConfig, "a RunConfig, as made by lord.compose")
    (config,) = with_images([config], images, stream)
    folder = None if out is None else as_path("out", out)
    if resume and (overwrite or folder is None):
        raise UserError("needs `out`, and cannot be combined with `overwrite`", field="resume")
    if folder is not None:
        check_apart(folder, config.data.data)
        if resume and finished(folder):
            difference(read_yaml(folder / CONFIG), flat(config), folder)
            return read_record(folder)
    if track:
        library(track)
    device = pick_device(config.training.device)
    with joined(device.type) as ranks, seeded("run", config.seed):
        return _run(config, Options(folder, overwrite, resume, track, console), device, ranks)


def _run(config: RunConfig, options: Options, device: torch.device, ranks: Ranks) -> RunRecord:
    """Run on this process, which is one of ``ranks``."""
    start = time.perf_counter()
    if ranks.world > 1:
        ranks.agree(lambda: load_images(config.data))  # the first process fills the cache
    data = load_images(config.data)
    tasks = stream_of(config, data)
    fitted = within_bytes(config, data, tasks, device)
    method, stream = make_method(fitted, data, tasks, device, ranks)
    with ExitStack() as stack:
        _lock_folder(options, ranks, stack)  # only after all checks of input
        if options.resume and options.out and finished(options.out):  # by another process meanwhile
            return read_record(options.out)
        saved = _empty_folder(config, data, options, ranks)
        if not ranks.first:  # one process writes and shows
            options = replace(options, out=None, track=None, console=None)
        for warning in method.warnings:
            if options.console:
                options.console.print(f"warning: {warning}", highlight=False, soft_wrap=True)
        folder = RunFolder(options.out)
        stack.enter_context(folder.noting_errors())
        folder.config(flat(config))
        outcome = _train(config, options, method, stream, data, folder, saved, start, ranks)
        record = record_of(fitted, outcome, device, ranks.world)
        write_artifacts(folder, config, outcome, stream.class_names, data.shape, record)
        if options.out is not None:
            remove_state(options.out / CHECKPOINT)
    return record


def _lock_folder(options: Options, ranks: Ranks, stack: ExitStack) -> None:
    """Lock the run's folder until ``stack`` closes."""
    if (out := options.out) is None:
        return
    # A run of a comparison that was killed may take a while to stop.
    lock = locked(out, "running", wait=60 if PARENT in os.environ else 0)
    ranks.agree(lambda: stack.enter_context(lock))


def _empty_folder(
    config: RunConfig, data: ImageData, options: Options, ranks: Ranks
) -> Saved | None:
    """Read the checkpoint of the run's folder, or empty the folder if it has none."""
    if (out := options.out) is None:
        return None
    saved = read_checkpoint(config, data.key, out) if options.resume else None
    if saved is None:
        overwrite = options.overwrite or (options.resume and is_ours(out))
        ranks.agree(partial(claim, out, overwrite=overwrite))
    return saved


def _train(
    config: RunConfig,
    options: Options,
    method: AnyMethod,
    stream: Stream,
    data: ImageData,
    folder: RunFolder,
    saved: Saved | None,
    start: float,
    ranks: Ranks,
) -> Outcome:
    """Train to the end of the stream, from the checkpoint if there is one."""
    tracker = None
    if options.track:
        where = options.out or Path("runs")
        tracker = CheckedTracker(options.track, folder_name(config), where, flat(config))
    warn = options.console.print if options.console else lambda text: None
    budget = make_budget(config, method, ranks, warn)  # measures FLOPs before they are counted
    number = config.training.threads or (saved.state["threads"] if saved else 0)
    with threads(number), Meter(warn) as meter, RunLog(folder, options.console, tracker) as log:
        folder.environment(method.device, data.key)
        loop = _make_loop(config, method, stream, meter, log, budget)
        loop.ended = partial(check_bytes, method, config.training.bytes)
        if saved is not None:
            _continue(loop, saved, folder, options.console, ranks.world)
            start -= saved.state["wall"]
        if options.out is not None:
            loop.pause = Checkpoints(loop, config, data.key, folder, start, ranks.world)
        matrices = loop.run()
    return Outcome(method, loop, matrices, meter, time.perf_counter() - start)


def _make_loop(
    config: RunConfig,
    method: AnyMethod,
    stream: Stream,
    meter: Meter,
    log: RunLog,
    budget: Epochs,
) -> Loop:
    bf16, kind = config.training.precision == "bf16", method.device.type
    return Loop(
        method,
        stream,
        budget=budget,
        batch=config.training.batch,
        generator=make_generator(config.seed, 3),
        meter=meter,
        evaluate_every=config.training.evaluate_every,
        prequential=config.training.prequential,
        autocast=lambda: torch.autocast(kind, torch.bfloat16, enabled=bf16),
        watcher=log,
    )


def _continue(
    loop: Loop, saved: Saved, folder: RunFolder, console: Console | None, world: int
) -> None:
    """Set a loop, and the metrics in the folder, back to the checkpoint."""
    state, note = saved
    flops = {phase: count // world for phase, count in state["loop"]["flops"].items()}
    loop.load_state_dict(state["loop"] | {"flops": flops})
    folder.cut(state["metrics"])
    if console:
        warning = f" ({note})" if note else ""
        where = f"task {loop.task + 1}, after {loop.steps} steps"
        console.print(f"continuing at {where}{warning}")
