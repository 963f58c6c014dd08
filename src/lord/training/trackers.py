"""Where else a run's figures may go: each tracker a few lines, its library an extra."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from lord.config import UserError, choose, first_line


class Tracker(Protocol):
    """Takes figures by name at a step. ``name``: what the run is called."""

    def __init__(self, name: str, folder: Path, settings: dict[str, Any]) -> None: ...
    def log(self, values: dict[str, float], step: int) -> None: ...
    def close(self) -> None: ...


class TensorBoard:
    """Event files in the run's folder."""

    def __init__(self, name: str, folder: Path, settings: dict[str, Any]) -> None:
        summary = library("tensorboard")
        self.writer = summary.Writer(str(folder / "tensorboard"))

    def log(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class MLflow:
    """A run of the active experiment."""

    def __init__(self, name: str, folder: Path, settings: dict[str, Any]) -> None:
        self.mlflow = library("mlflow")
        self.mlflow.start_run(run_name=name)
        self.mlflow.log_params(settings)

    def log(self, values: dict[str, float], step: int) -> None:
        self.mlflow.log_metrics(values, step=step)

    def close(self) -> None:
        self.mlflow.end_run()


class WandB:
    """A run of the project ``lord``."""

    def __init__(self, name: str, folder: Path, settings: dict[str, Any]) -> None:
        wandb = library("wandb")
        self.run = wandb.init(project="lord", name=name, dir=str(folder), config=settings)

    def log(self, values: dict[str, float], step: int) -> None:
        self.run.log(values, step=step)

    def close(self) -> None:
        self.run.finish()


TRACKERS: dict[str, Callable[[str, Path, dict[str, Any]], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
}


class Told:
    """A tracker whose errors are told in one line, such as of a server that is not there."""

    def __init__(self, kind: str, name: str, folder: Path, settings: dict[str, Any]) -> None:
        self.kind = kind
        with self._told():
            self.tracker = TRACKERS[kind](name, folder, settings)

    def log(self, values: dict[str, float], step: int) -> None:
        with self._told():
            self.tracker.log(values, step)

    def close(self) -> None:
        with self._told():
            self.tracker.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # it may raise what it likes
            raise UserError(f"track: {self.kind}: {first_line(error)}") from error


def library(kind: str) -> Any:
    """What a tracker needs.

    Raises:
        UserError: if there is no such kind, or its library is not installed.
    """
    choose("tracker", kind, TRACKERS)
    try:
        return import_module("tensorboard.summary" if kind == "tensorboard" else kind)
    except ImportError:
        raise UserError(f"track: {kind} is not installed: pip install {kind}") from None
