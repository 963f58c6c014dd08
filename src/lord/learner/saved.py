"""Read the file of a learner, and the configuration in it."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from torch import nn

from lord.config import UserError, as_path, first_line
from lord.learner.session import learner_file
from lord.learner.setup import LearnerConfig, learner_config
from lord.learner.snapshots import load_latest
from lord.methods import METHODS

T = TypeVar("T")


def config_of(state: Mapping[str, Any], network: nn.Module | None) -> LearnerConfig:
    """Return the configuration of a learner that was saved.

    Args:
        state: see ``Learner.state_dict``.
        network: the module that the learner was made with, if any.

    Raises:
        UserError: if the method is not registered, such as that of a plug-in.
    """
    config = state["config"]
    if config["method"] not in METHODS:
        raise UserError(
            "is the learner's method, which nothing has registered",
            field="method",
            given=config["method"],
            hint="set `plugin` to the plug-in that registers it, or import that in Python",
        )
    if network is not None:
        name = learner_config({"network": network}).network.network
        config = {**config, "network": {**config["network"], "network": name}}
    return msgspec.convert(config, LearnerConfig)


def read(path: str | Path, make: Callable[[dict[str, Any]], T]) -> T:
    """Return what ``make`` makes of the state in a file, or in a learner's folder.

    Raises:
        UserError: if there is no learner, or none is whole.
    """
    path = learner_file(as_path("path", path))
    state, note = load_latest(path)
    if note:
        warnings.warn(note, stacklevel=3)
    try:
        return make(state["learner"])
    except UserError:
        raise
    except Exception as error:  # any value in the file may be wrong
        raise UserError(f"'{path}' does not hold a learner: {first_line(error)}") from None
