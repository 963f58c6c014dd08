"""Set a new learner to a state that was saved."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from torch import nn

from lord.config import UserError, as_path, first_line
from lord.learner import setup
from lord.learner.forgotten import Forgotten
from lord.learner.held_out import HeldOut
from lord.learner.seen import Seen
from lord.learner.session import OpenSession, Session, learner_file
from lord.learner.setup import LearnerConfig, learner_config
from lord.storage import load_state

if TYPE_CHECKING:
    from lord.learner.learner import Learner

T = TypeVar("T")


def config_of(state: Mapping[str, Any], network: nn.Module | None) -> LearnerConfig:
    """Return the configuration of a learner that was saved.

    Args:
        state: see ``Learner.state_dict``.
        network: the module that the learner was made with, if any.
    """
    config = state["config"]
    if network is not None:
        name = learner_config({"network": network}).network.network
        config = {**config, "network": {**config["network"], "network": name}}
    return msgspec.convert(config, LearnerConfig)


def restore(learner: "Learner", state: Mapping[str, Any]) -> None:
    """Set a new learner to a state. Its configuration is that of the state.

    Parts that older versions did not have are empty.
    """
    learner.classes = list(state["classes"])
    learner.sessions = [msgspec.convert(each, Session) for each in state["sessions"]]
    learner.shape, learner.held_out = state["shape"], HeldOut(**state["held_out"])
    learner.seen = Seen(**state.get("seen", {}))
    learner.forgotten = [msgspec.convert(each, Forgotten) for each in state.get("forgotten", [])]
    if state["method"] is not None:
        assert learner.shape
        inputs, augment = setup.prepare(
            learner.config, learner.shape, normalisation=state["normalisation"]
        )
        setup.check_weights(inputs, state.get("weights"))
        learner._inputs, learner._augment = inputs, augment
        outputs = len(learner.classes) + len(state["method"].get("replaced", {}))
        learner.method = learner._widened(inputs, outputs, augment)
        learner.method.load_state_dict(state["method"])
    learner._generator.set_state(state["generator"])
    if state["open"]:
        learner._open = OpenSession.from_state(state["open"], learner._new_cursor())


def read(path: str | Path, make: Callable[[dict[str, Any]], T]) -> T:
    """Return what ``make`` makes of the state in a file, or in a learner's folder.

    Raises:
        UserError: if there is no learner, or none is whole.
    """
    path = learner_file(as_path("path", path))
    state, note = load_state(path)
    if note:
        warnings.warn(note, stacklevel=3)
    try:
        return make(state["learner"])
    except UserError:
        raise
    except Exception as error:  # any value in the file may be wrong
        raise UserError(f"'{path}' does not hold a learner: {first_line(error)}") from None
