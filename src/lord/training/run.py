"""One run: from a frozen configuration to a record and a folder."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Generator

from lord.config import UserError, as_path, expect
from lord.costs import Meter, uncounted
from lord.data import Augment, ImageData, load_images, measure_normalisation
from lord.evaluation import RunRecord, finished, read_record
from lord.methods import METHODS, AnyMethod, build_method
from lord.networks import first_network
from lord.storage import has_state, load_state, locked, remove_state, save_state
from lord.streams import Stream
from lord.training.config import (
    RunConfig,
    difference,
    flat,
    folder_name,
    read_yaml,
    stream_of,
)
from lord.training.folder import CHECKPOINT, CONFIG, RunFolder, check_apart, claim, is_ours
from lord.training.leave import last_scores, leave, record_of
from lord.training.loop import Loop
from lord.training.progress import RunLog
from lord.training.ranks import SINGLE, Ranks, joined, spread
from lord.training.trackers import Told, library


def run(
    config: RunConfig,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    track: str | None = None,
    console: Console | None = None,
) -> RunRecord:
    """Train one method on one stream, score it, and leave its results in ``out``.

    Args:
        config: from ``compose``.
        out: folder for the results; None to write nothing.
        overwrite: whether results already in ``out`` may be replaced.
        resume: go on from the last checkpoint in ``out``, if there is one; the result is that of
            a run that was never stopped.
        track: tensorboard, mlflow or wandb, where figures go too.
        console: where a progress bar is drawn, if it is a terminal, and what is odd is said.

    Raises:
        UserError: for data that does not fit, a folder that holds results, or a loss that is no
            number any more. What was written by then stays.
    """
    expect("config", config, RunConfig, "what lord.compose gives")
    out = None if out is None else as_path("out", out)
    if resume and (overwrite or out is None):
        why = "--overwrite replaces it: give one" if overwrite else "there is no out"
        raise UserError(f"resume: goes on with what is there, {why}")
    if out is not None:
        check_apart(out, config.data.data)
    if resume and out is not None and finished(out):
        difference(read_yaml(out / CONFIG), flat(config), out)
        return read_record(out)
    with joined(pick_device(config.training.device).type) as ranks, ExitStack() as stack:
        if track:
            library(track)
        return _run(config, out, overwrite, resume, track, console, ranks, stack)


def _run(
    config: RunConfig,
    out: Path | None,
    overwrite: bool,
    resume: bool,
    track: str | None,
    console: Console | None,
    ranks: Ranks,
    stack: ExitStack,
) -> RunRecord:
    start = time.perf_counter()
    device = pick_device(config.training.device)
    if ranks.world > 1:
        ranks.agree(lambda: load_images(config.data))  # decoded once
    data = load_images(config.data)
    method, stream = make_method(config, data, stream_of(config, data), device, ranks)
    if out is not None:  # not before all the input is known to be sound
        # What was begun by a comparison that is gone may take a while to stop.
        alone = locked(out, "running", wait=60 if PARENT in os.environ else 0)
        ranks.agree(lambda: stack.enter_context(alone))
    missed = uncounted(method.student, torch.zeros((2, *data.shape), device=device))
    saved = _saved(config, data.key, out) if resume and out is not None else None
    if out is not None and saved is None:
        ranks.agree(partial(claim, out, overwrite=overwrite or (resume and is_ours(out))))
    if not ranks.first:  # one of them writes and speaks
        out = track = console = None
    folder = RunFolder(out)
    folder.config(flat(config))
    bf16 = config.training.precision == "bf16"
    where = out or Path("runs")
    tracked = Told(track, folder_name(config), where, flat(config)) if track else None
    with (
        threads(config.training.threads or (saved[0]["threads"] if saved else 0)),
        Meter() as meter,
        RunLog(folder, console, tracked) as journal,
    ):
        folder.environment(device, data.key)
        loop = Loop(
            method,
            stream,
            epochs=config.training.epochs,
            batch=config.training.batch,
            generator=_generator(config.seed, 3, torch.device("cpu")),
            meter=meter,
            evaluate_every=config.training.evaluate_every,
            autocast=lambda: torch.autocast(device.type, torch.bfloat16, enabled=bf16),
            watcher=journal,
        )
        if saved is not None:
            state, note = saved
            flops = {phase: own // ranks.world for phase, own in state["loop"]["flops"].items()}
            loop.load_state_dict(state["loop"] | {"flops": flops})
            folder.cut(state["metrics"])
            start -= state["wall"]
            if console:
                at = f"task {loop.task + 1}, after {loop.steps} steps"
                console.print(f"going on at {at}" + (f" ({note})" if note else ""))
        if out is not None:
            loop.pause = Keeper(loop, config, data.key, folder, start, ranks.world)
        matrices = loop.run()
    wall = time.perf_counter() - start
    record = record_of(config, method, loop, matrices, meter, wall, device, ranks.world, missed)
    last = last_scores(loop, record.statistics)
    leave(out, config, method, stream.class_names, data.shape, record, last)
    folder.json("accuracy.json", matrices)
    folder.json("summary.json", record)
    if out is not None:
        remove_state(out / CHECKPOINT)
    return record


PARENT = "LORD_PARENT"
"""Environment variable with the process a run belongs to; where that is gone, the run stops."""


class Keeper:
    """Called between steps: writes a checkpoint when a task has ended, and when it is time."""

    def __init__(
        self,
        loop: Loop,
        config: RunConfig,
        data: str,
        folder: RunFolder,
        start: float,
        world: int,
    ) -> None:
        assert folder.path
        self.loop, self.config, self.data, self.folder = loop, config, data, folder
        self.file, self.start, self.world = folder.path / CHECKPOINT, start, world
        self.last = time.perf_counter()

    def __call__(self) -> None:
        if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):
            raise KeyboardInterrupt("the comparison this run belonged to is gone")
        now = time.perf_counter()
        if self.loop.begun and now - self.last < self.config.training.checkpoint_every:
            return
        loop = self.loop.state_dict()  # of the FLOPs, it knows this process's share
        loop["flops"] = {phase: own * self.world for phase, own in loop["flops"].items()}
        state = {
            "config": flat(self.config),
            "data": self.data,
            "metrics": self.folder.length(),
            "wall": now - self.start,
            "threads": torch.get_num_threads(),
            "loop": loop,
        }
        save_state(state, self.file)
        self.last = time.perf_counter()


def _saved(config: RunConfig, data: str, out: Path) -> tuple[Any, str | None] | None:
    """The checkpoint to go on from, if there is one; it must be of the same configuration, and of
    the same images, by their hash."""
    file = out / CHECKPOINT
    if not has_state(file):
        return None
    state, note = load_state(file)
    parts = {"config", "data", "metrics", "wall", "threads", "loop"}
    if not isinstance(state, dict) or not parts <= state.keys():
        raise UserError(f"'{file}' is not a run's checkpoint: give another --out")
    difference(state["config"], flat(config), out, free=("checkpoint_every",))
    if state["data"] != data:
        raise UserError(
            f"the images at '{config.data.data}' are not those that '{out}' was begun with: "
            "give another --out, or --overwrite"
        )
    return state, note


def make_method(
    config: RunConfig,
    data: ImageData,
    stream: Stream,
    device: torch.device,
    ranks: Ranks = SINGLE,
) -> tuple[AnyMethod, Stream]:
    """The method of a run, before it has learnt, and the stream it learns, on ``device``.

    Raises:
        UserError: for several processes, if its passes cannot be shared out among them.
    """
    traits = METHODS[config.method].method.traits
    if ranks.world > 1 and not traits.splits:
        raise UserError(
            f"{config.method} cannot be split over processes: it reads gradients or features",
            field="method",
            hint="start one process, without torchrun",
        )
    tasks = 1 if traits.joint else len(stream.train)
    stream = stream.first(config.stream.stop_after)
    stream = (stream.joined() if traits.joint else stream).to(device)
    classes = len(stream.class_names)
    network = first_network(config.network, classes=classes, shape=data.shape, seed=config.seed)
    spread(network, ranks)
    method = build_method(
        config.method,
        config.settings,
        network=network.to(device),
        augment=_augment(config, data, device),
        optimizer=config.optimizer,
        shape=data.shape,
        classes=classes,
        tasks=tasks,
        epochs=config.training.epochs,
        batch=config.training.batch,
        generator=_generator(config.seed, 1, torch.device("cpu")),
        last=len(stream.train) - 1,
    )
    return method, stream


def pick_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: 'cuda' is not available here; give 'cpu' or 'auto'")
    return torch.device(name)


def _augment(config: RunConfig, data: ImageData, device: torch.device) -> Augment:
    protocol = config.protocol
    mean, std = protocol.mean, protocol.std
    if mean is None or std is None:
        mean, std = measure_normalisation(data.train_images)
    generator = _generator(config.seed, 2, device)
    return Augment(mean, std, crop=protocol.crop, flip=protocol.flip, generator=generator)


def _generator(seed: int, purpose: int, device: torch.device) -> Generator:
    # Purposes get streams of their own, so that none moves another.
    return Generator(device).manual_seed(1_000_003 * purpose + seed)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
