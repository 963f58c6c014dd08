"""``lord learn``: learn the images of a folder, session after session."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from msgspec import Meta

from lord.cli.console import continues, say
from lord.cli.flags import Switch, checked, with_assignments
from lord.cli.learner import accuracies, warnings_printed
from lord.config import NothingNewError, UserError, check_budget, load_plugin
from lord.config.types import Count, Natural, NonNegative

if TYPE_CHECKING:
    from lord.learner import Learner

EXAMPLES = """
lord learn photos/week1 --state memory
lord learn photos/week2 --state memory
lord learn photos/* --state memory
lord learn photos/week3 --state memory --seconds 60
lord learn photos/week1 --state small --network cnn --width 8 --set buffer=200
"""
FIELDS = {"source": "folders", "images": "folders", "every": "checkpoint_every"}
"""Names of arguments in Python, and the parameters that stand for them here."""
APART = {"state", "resize", "seconds", "flops", "plugin", "checkpoint_every", "set"}
APART |= {"strict", "tolerance", "new_classes", "again", "abandon"}
"""Flags that ``--set`` does not replace."""
TEST = ("test", "val", "valid", "validation")
"""Names of folders that are not learned with others."""
NAMED = 20
"""New classes that are named after a session, at most."""


def learn(
    *folders: Path,
    state: Path,
    method: str | None = None,
    network: str | None = None,
    backbone: str | None = None,
    weights: str | None = None,
    cut: str | None = None,
    width: Annotated[int | None, checked(int)] = None,
    epochs: Annotated[int | None, checked(Count)] = None,
    resize: Annotated[int | None, checked(Annotated[int, Meta(ge=4, le=1024)])] = None,
    seed: Annotated[int | None, checked(Natural)] = None,
    set: Annotated[list[str] | None, Parameter(negative=())] = None,
    seconds: float | None = None,
    flops: float | None = None,
    tolerance: Annotated[float, checked(NonNegative)] = 15.0,
    again: Switch = False,
    abandon: Switch = False,
    strict: Switch = False,
    new_classes: bool | None = None,
    checkpoint_every: Annotated[float, checked(NonNegative)] = 60.0,
    plugin: Path | None = None,
) -> None:
    """Learn the images of a folder. The first call makes the learner, and later calls continue it.

    Only images are learned that are new, by their content. Several folders are learned in their
    order, each as a session.

    If it is interrupted or killed, the same command continues from the last checkpoint. Exit codes:
    0 learned, 2 a mistake, 3 nothing new, 4 another process has the learner, 5 dropped by a guard
    rail, 130 interrupted.

    Parameters
    ----------
    folders
        Images by class: FOLDER/CLASS/*.jpg, or any other layout that 'lord data' knows.
    state
        Folder of the learner.
    method
        Method; it cannot change later, nor can the settings below. By default, a closed-form head
        over a pretrained network (slda). It is lord+, from scratch, if a setting of a trained
        network is given or lord-cl[pretrained] is not installed.
    network
        Network to train from scratch; resnet8 by default.
    backbone
        Pretrained network, used frozen: efficientnet-lite0, timm:MODEL, torchvision:MODEL, hf:MODEL
        or a trained model's folder.
    weights
        File of weights for the backbone, instead of those that come with its name.
    cut
        Last frozen layer of the backbone, or the largest share of its FLOPs to freeze, such as 0.6.
        A method that trains a network trains the layers after it.
    width
        Channels of the network's first stage; by default 32 for resnet8 and 16 for others.
    epochs
        Passes over the images of a session. By default enough for 150 steps, but 5 to 20.
    resize
        Side in pixels of the squares that images are resized to. By default the images' own side,
        but from 32 to 64, or three times their own, from 64 to 128, for a pretrained network. Twice
        the side costs four times the time.
    seed
        Random seed; 0 by default.
    set
        A setting of the method or the optimizer, such as alpha=0.5.
    seconds
        Training budget in seconds. Replaces epochs; at least four steps. A closed-form head takes
        one pass over the images, whatever the budget.
    flops
        Training budget in FLOPs. Replaces epochs; at least four steps.
    tolerance
        Points by which accuracy on the held-out images of earlier sessions may fall.
        If it falls further, the learner stays as it was. It needs 20 such images.
    again
        Learn images once more that were learned before.
    abandon
        Drop a session that was interrupted, and learn these images instead.
    strict
        Refuse a folder with files that cannot be used, instead of skipping them.
    new_classes
        Accept every new class, or with --no-new-classes none. By default, a name that may be a
        known one spelled differently is asked about, and refused without a terminal.
    checkpoint_every
        Seconds between checkpoints.
    plugin
        Python file that registers methods or networks.
    """
    from lord.learner import learn_folder

    flags = {"method": method, "network": network, "width": width, "epochs": epochs, "seed": seed}
    flags |= {"backbone": backbone, "weights": weights, "cut": cut}
    given = with_assignments({n: v for n, v in flags.items() if v is not None}, set, APART)
    check_budget(seconds, flops)
    if plugin:
        load_plugin(plugin)
    learn_one = partial(
        learn_folder,
        state,
        given=given,
        resize=resize,
        again=again,
        seconds=seconds,
        flops=flops,
        tolerance=tolerance,
        every=checkpoint_every,
        strict=strict,
        new_classes=new_classes,
        ask=_asked if sys.stdin.isatty() and sys.stdout.isatty() else None,
        report=say,
    )
    with continues("the same command continues"), warnings_printed():
        learner = None
        for folder in _in_order(state, folders):
            try:
                learner = learn_one(folder, abandon=abandon and learner is None)
            except NothingNewError as error:
                if len(folders) == 1:
                    raise
                say(error.problem)
                continue
            _say_session(learner)
    if learner is None:
        raise NothingNewError("none of the folders has anything new")
    say(accuracies(learner))


def _in_order(state: Path, folders: Sequence[Path]) -> list[Path]:
    """Check several folders, and return them with that of an interrupted session first.

    Raises:
        UserError: if a folder cannot be learned.
    """
    from lord.data import recognise
    from lord.learner import Learner, holds_learner

    if not folders:
        raise UserError("names no folder", field="folders", allowed="at least one")
    for folder in folders:
        _check_place(state, folder)
    if len(folders) == 1:
        return list(folders)
    tests = [folder for folder in folders if folder.name in TEST]
    for folder in tests:
        say(
            f"'{folder}' is skipped, because it is named like a test set; give it alone to learn it"
        )
    chosen = [folder for folder in folders if folder not in tests]
    for folder in [*chosen]:
        try:
            recognise(folder)
        except UserError as error:
            if not _may_be_skipped(folder):
                raise
            say(f"{error.problem}; it is skipped")
            chosen.remove(folder)
    begun = Learner.load(state).unfinished_source if holds_learner(state) else None
    return sorted(chosen, key=lambda folder: str(folder.resolve()) != begun)


def _may_be_skipped(path: Path) -> bool:
    """Whether nothing is lost: a file that is no data set, or a folder without files."""
    return path.is_file() or (path.is_dir() and not any(map(Path.is_file, path.rglob("*"))))


def _asked(question: str) -> bool:
    from rich.prompt import Confirm
    from rich.text import Text

    try:
        return Confirm.ask(Text(question), default=False)
    except EOFError:  # Ctrl-D
        return False


def _say_session(learner: "Learner") -> None:
    session, frozen = learner.sessions[-1], learner.backbone
    if frozen and len(learner.sessions) == 1:
        name, data = frozen.pretrained.name, frozen.pretrained.trained_on
        cost = f"{frozen.size} px, {frozen.flops / 1e9:.2f} GFLOPs an image"
        say(f"starting from {name}, trained on {data}, at {cost}")
    known, names = f"{len(learner.classes)} classes", session.new_classes
    more = f", ... {len(names)}" if len(names) > NAMED else ""
    new = f" ({', '.join(names[:NAMED])}{more} new)" if names else ""
    say(
        f"session {len(learner.sessions)}: {session.images} images, {known}{new}; "
        f"{session.steps} steps, {session.seconds:.0f} s, {session.flops:.3g} FLOPs"
    )


def _check_place(state: Path, folder: Path) -> None:
    """Check that a learner does not share a folder with a run or with its images.

    Raises:
        UserError: if it would.
    """
    from lord.learner import holds_learner
    from lord.training.folder import holds_run

    if holds_run(state) and not holds_learner(state):
        raise UserError(
            "holds a run's results", field="state", given=state, hint="choose another folder"
        )
    if folder.is_dir() and state.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            "is in the folder of the images", field="state", given=state, hint="choose another"
        )
