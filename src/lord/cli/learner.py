"""What the commands for a learner share: reading it, and wording what it knows."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lord.config import UserError, load_plugin

if TYPE_CHECKING:
    from lord.evaluation.kept import Unreadable
    from lord.learner import Learner


def load_learner(state: Path, plugin: Path | None = None, *, latest: bool = False) -> "Learner":
    """Load a plug-in and the learner in a folder, as its last finished session left it.

    If that is not kept, as in the first session, the last checkpoint is loaded with a warning.

    Args:
        latest: load the last checkpoint instead, which can be of an unfinished session.
    """
    from lord.learner import Learner
    from lord.learner.snapshots import kept_before
    from lord.storage import previous

    if not (state.exists() or previous(state).exists()):
        raise UserError("does not exist", field="state", given=state, hint="'lord learn' makes it")
    if plugin:
        load_plugin(plugin)
    with warnings_printed():
        learner = Learner.load(state)
        before = kept_before(state, len(learner.sessions))
        if latest or learner.unfinished is None:
            return learner
        if before.exists():
            return Learner.load(before)
        warnings.warn(f"'{state}' has learned only a part of a session", stacklevel=2)
        return learner


@contextmanager
def warnings_printed() -> Iterator[None]:
    """Inside, warnings are printed to the error stream as plain lines."""
    errors = Console(stderr=True, markup=False, emoji=False)

    def show(message: Warning | str, *_: object, **__: object) -> None:
        errors.print(str(message), highlight=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def accuracies(learner: "Learner") -> str:
    """A learner's held-out accuracy in words: session 1 93 %, session 2 90 %."""
    if not learner.sessions:
        return "no session has ended yet"
    last, forgetting = learner.sessions[-1].held_out, learner.forgetting
    text = f"held-out accuracy by session: {percentages(last)} %"
    return text + ("" if forgetting is None else f"; forgetting {forgetting:.1f}")


def percentages(shares: Sequence[float]) -> str:
    """Accuracies of sessions; - for a session without held-out images."""
    return " ".join("-" if math.isnan(share) else f"{share:.0f}" for share in shares)


def name_bad(files: "Sequence[Unreadable]") -> None:
    """List files that could not be used on the error stream, with the reason for each."""
    from lord.data import BadFile, bad_table

    if not files:
        return
    errors = Console(stderr=True, markup=False, emoji=False)
    count = f"{len(files)} file{'s' * (len(files) > 1)}"
    errors.print(f"{count} could not be used:", highlight=False)
    for line in bad_table([BadFile(each.file, each.reason) for each in files]):
        errors.print(line, highlight=False, soft_wrap=True)
