"""Log a run's figures to trackers. Their libraries are optional extras."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from lord.config import UserError, choose, first_line


class Tracker(Protocol):
    """Receives the figures of a run.

    Args:
        name: name of the run.
        folder: folder of the run.
        settings: settings of the run by name.
    """

    def __init__(self, name: str, folder: Path, settings: dict[str, Any]) -> None: ...

    def log(self, values: dict[str, float], step: int) -> None:
        """Store figures by name at a step."""

    def close(self) -> None:
        """Finish the run."""


class TensorBoard:
    """Write event files to the run's folder."""

    def __init__(self, name: str, folder: Path, settings: dict[str, Any]) -> None:
        summary = library("tensorboard")
        self.writer = summary.Writer(str(folder / "tensorboard"))

    def log(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class MLflow:
    """Log to a run of the active MLflow experiment."""

    def __init__(self, name: str, folder: Path, settings: dict[str, Any]) -> None:
        self.mlflow = library("mlflow")
        self.mlflow.start_run(run_name=name)
        self.mlflow.log_params(settings)

    def log(self, values: dict[str, float], step: int) -> None:
        self.mlflow.log_metrics(values, step=step)

    def close(self) -> None:
        self.mlflow.end_run()


class WandB:
    """Log to a run of the Weights & Biases project ``lord``."""

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


class CheckedTracker:
    """Convert errors of a tracker, such as a missing server, to a ``UserError``."""

    def __init__(self, kind: str, name: str, folder: Path, settings: dict[str, Any]) -> None:
        self.kind = kind
        with self._checked():
            self.tracker = TRACKERS[kind](name, folder, settings)

    def log(self, values: dict[str, float], step: int) -> None:
        with self._checked():
            self.tracker.log(values, step)

    def close(self) -> None:
        with self._checked():
            self.tracker.close()

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # a library may raise anything
            raise UserError(f"{self.kind} failed: {first_line(error)}", field="track") from error


def library(kind: str) -> Any:
    """Import and return the library of a tracker.

    Raises:
        UserError: if the tracker is unknown, or its library is not installed.
    """
    choose("track", kind, TRACKERS)
    try:
        return import_module("tensorboard.summary" if kind == "tensorboard" else kind)
    except ImportError:
        raise UserError(
            "is not installed", field="track", given=kind, hint=f"pip install {kind}"
        ) from None
