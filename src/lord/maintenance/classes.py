"""Rename, merge and remove classes of a learner."""

from pathlib import Path

import torch
from torch import nn

from lord.config import UserError, as_path, choose
from lord.learner import Learner
from lord.learner.images import class_names
from lord.maintenance.change import change_folder
from lord.methods import merge_outputs, remove_output


def rename_class(
    folder: str | Path, name: str, new: str, network: nn.Module | None = None
) -> Learner:
    """Give a class of the learner in a folder another name.

    Args:
        folder: the learner's folder.
        name: the class.
        new: its new name.
        network: the module that the learner was made with, if any.

    Raises:
        UserError: if there is no such class, or a class has the new name.
    """
    (name,), (new,) = class_names([name], 1), class_names([new], 1)

    def check(learner: Learner) -> None:
        choose("name", name, learner.classes)
        if new in learner.classes:
            hint = "merge the two to make them one class"
            raise UserError("is a class already", field="new", given=new, hint=hint)

    def change(learner: Learner) -> None:
        _rename(learner, name, new)

    return change_folder(as_path("folder", folder), "renaming a class", check, change, network)


def merge_classes(
    folder: str | Path, name: str, into: str, network: nn.Module | None = None
) -> Learner:
    """Make two classes of the learner in a folder one.

    A closed-form head is then as if it had learned both under one name. A trained network adds the
    probabilities of its two outputs. Images in its buffer move, so later sessions train one output.

    Args:
        folder: the learner's folder.
        name: the class that ends.
        into: the class that it becomes part of.
        network: the module that the learner was made with, if any.

    Raises:
        UserError: if there is no such class, or no second class would be left.
    """
    (name,), (into,) = class_names([name], 1), class_names([into], 1)

    def check(learner: Learner) -> None:
        choose("name", name, learner.classes)
        choose("into", into, [each for each in learner.classes if each != name])
        _check_two_left(learner)

    def change(learner: Learner) -> None:
        if name not in learner.classes:
            return
        if into not in learner.classes:  # it was learned later
            _rename(learner, name, into)
            return
        one, other = learner.classes.index(name), learner.classes.index(into)
        if learner.method is not None:
            merge_outputs(learner.method, learner.outputs[one], learner.outputs[other])
        _drop_name(learner, one, other)

    return change_folder(as_path("folder", folder), "merging classes", check, change, network)


def remove_class(folder: str | Path, name: str, network: nn.Module | None = None) -> Learner:
    """Remove a class of the learner in a folder. It is not predicted any more.

    Its images leave the buffer, the held-out images, and the record of images seen. A closed-form
    head subtracts how many there were, and their mean. Its covariance keeps their share, and so do
    the weights of a trained network. The class may be learned again as a new one.

    Args:
        folder: the learner's folder.
        name: the class.
        network: the module that the learner was made with, if any.

    Raises:
        UserError: if there is no such class, or fewer than two would be left.
    """
    (name,) = class_names([name], 1)

    def check(learner: Learner) -> None:
        choose("name", name, learner.classes)
        _check_two_left(learner)

    def change(learner: Learner) -> None:
        if name not in learner.classes:
            return
        number = learner.classes.index(name)
        if learner.method is not None:
            remove_output(learner.method, learner.outputs[number])
        held = learner.held_out.labels == number
        if held.any():  # never learned under any label
            learner.seen.forget(learner.held_out.columns["images"][held])
        learner.held_out.keep(~held)
        _drop_name(learner, number, None)

    return change_folder(as_path("folder", folder), "removing a class", check, change, network)


def _check_two_left(learner: Learner) -> None:
    if len(learner.classes) < 3:
        raise UserError(
            f"fewer than two classes would be left of {', '.join(learner.classes)}", field="name"
        )


def _rename(learner: Learner, name: str, new: str) -> None:
    renamed = {name: new}
    if name in learner.classes:
        learner.seen.names[name] = learner.classes.index(name)
    learner.classes[:] = [renamed.get(each, each) for each in learner.classes]
    for session in learner.sessions:
        session.new_classes = [renamed.get(each, each) for each in session.new_classes]


def _drop_name(learner: Learner, number: int, into: int | None) -> None:
    """Drop the name of a class that has no output any more, and number the others again.

    Args:
        number: number of the class.
        into: number of the class that its images have now; None if there are none.
    """
    numbers = torch.arange(len(learner.classes))
    numbers[number] = 0 if into is None else into
    numbers = torch.where(numbers > number, numbers - 1, numbers)
    name = learner.classes.pop(number)
    if learner.held_out.columns:
        labels = learner.held_out.labels
        learner.held_out.columns["labels"] = numbers[labels]
    if into is not None:
        learner.seen.names[name] = into
    learner.seen.renumber(numbers, removed=number if into is None else None)
