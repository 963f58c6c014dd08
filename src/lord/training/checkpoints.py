"""Write checkpoints of a run at intervals, and read them."""

import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lord.config import PARENT, UserError
from lord.storage import has_state, load_state, save_state
from lord.training.config import RunConfig, difference, flat
from lord.training.folder import CHECKPOINT, RunFolder
from lord.training.loop import Loop

PARTS = {"config", "data", "metrics", "wall", "threads", "loop"}


class Saved(NamedTuple):
    """The checkpoint of a run.

    Attributes:
        state: parts of the state by name.
        note: a warning, if the newest checkpoint was damaged and this is the one before it.
    """

    state: dict[str, Any]
    note: str | None


class Checkpoints:
    """Write a checkpoint when a task has ended, and at intervals. Called between steps.

    Args:
        loop: the loop to save.
        config: the run's configuration.
        data: key of the images.
        folder: folder to write to.
        start: when the run began, by ``time.perf_counter``.
        world: number of processes.
    """

    def __init__(
        self, loop: Loop, config: RunConfig, data: str, folder: RunFolder, start: float, world: int
    ) -> None:
        assert folder.path
        self.loop, self.config, self.data, self.folder = loop, config, data, folder
        self.file, self.start, self.world = folder.path / CHECKPOINT, start, world
        self.last = time.perf_counter()

    def __call__(self) -> None:
        if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):
            raise KeyboardInterrupt("the comparison that started this run is gone")
        now = time.perf_counter()
        if self.loop.begun and now - self.last < self.config.training.checkpoint_every:
            return
        loop = self.loop.state_dict()  # with the FLOPs of this process only
        loop["flops"] = {phase: self.world * count for phase, count in loop["flops"].items()}
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


def read_checkpoint(config: RunConfig, data: str, out: Path) -> Saved | None:
    """Read the checkpoint in a run's folder; None if there is none.

    Args:
        config: configuration of the run that continues. Only ``checkpoint_every`` may differ.
        data: key of the images, which must be the same.
        out: the run's folder.

    Raises:
        UserError: if anything differs, or no checkpoint can be read.
    """
    file = out / CHECKPOINT
    if not has_state(file):
        return None
    state, note = load_state(file)
    if not isinstance(state, dict) or not state.keys() >= PARTS:
        raise UserError(
            f"'{file}' is not the checkpoint of a run", field="out", hint="choose another `out`"
        )
    difference(state["config"], flat(config), out, free=("checkpoint_every",))
    if state["data"] != data:
        raise UserError(
            f"the images differ from those of the run in '{out}'",
            field="data",
            given=config.data.data,
            hint="choose another `out`, or set `overwrite`",
        )
    return Saved(state, note)
