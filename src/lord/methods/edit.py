"""Change which classes and images a trained method knows."""

import copy

import torch
from torch import Tensor

from lord.methods.closed_form import ClosedForm
from lord.methods.fused import LoRDFused
from lord.methods.lwf import LwF
from lord.methods.method import AnyMethod
from lord.methods.outputs import merged

ALIKE = 1
"""Largest difference of a value between two images that count as one. Latents that are computed
again may differ by rounding."""


def merge_outputs(method: AnyMethod, label: int, into: int) -> None:
    """Make two classes one. What is learned later is learned under the second one.

    A closed-form head adds their sums, which is exact. A trained network keeps both outputs, and
    their probabilities are added.

    Args:
        method: between tasks.
        label: the output of the class that ends.
        into: the output of the class that it becomes part of.
    """
    for part in _parts(method):
        if isinstance(part, ClosedForm):
            part.merge_class(label, into)
        if part.buffer is not None:
            part.buffer.relabel(label, into)
        part.replaced = merged(part.replaced, label, into)
    _refresh(method)


def remove_output(method: AnyMethod, label: int) -> None:
    """Remove a class: it is not predicted any more, and its images leave the buffer.

    A closed-form head subtracts the number of its images and their mean, see ``Sums.remove``.

    Args:
        method: between tasks.
        label: the output of the class.
    """
    for part in _parts(method):
        if isinstance(part, ClosedForm):
            part.remove_class(label)
        if part.buffer is not None and len(part.buffer):
            part.buffer.keep(part.buffer.held["labels"].cpu() != label)
        part.replaced = merged(part.replaced, label, -1)
    _refresh(method)


@torch.no_grad()
def forget_images(method: AnyMethod, images: Tensor, labels: Tensor) -> None:
    """Forget images that a method learned.

    A closed-form head subtracts them from its sums, exactly up to rounding. The buffer loses them.
    The weights of a trained network stay as they are, and may still reflect the images.

    Args:
        method: between tasks.
        images: N x C x H x W uint8, as the method gets them. An image that was learned several
            times comes as often.
        labels: N int64, the outputs with which they were learned.
    """
    for part in _parts(method):
        if isinstance(part, ClosedForm):
            part.learn(images, labels, sign=-1)
        if part.buffer is not None and len(part.buffer):
            given = part.small(images) if isinstance(part, LoRDFused) else images
            part.buffer.keep(~_held(part.buffer.held["images"].cpu(), given))
        if isinstance(part, LwF):
            part.recorded = None
    _refresh(method)


def is_exact(method: AnyMethod) -> bool:
    """Return whether a method forgets images exactly, because it has no trained weights."""
    return isinstance(method, ClosedForm)


def _parts(method: AnyMethod) -> list[AnyMethod]:
    """Return a method, and the head beside its student if it has one."""
    return [method.head, method] if isinstance(method, LoRDFused) else [method]


def _held(rows: Tensor, images: Tensor) -> Tensor:
    """Return for each row whether it is one of some images, N bool."""
    found = torch.zeros(len(rows), dtype=torch.bool)
    for image in images.to(torch.int16):
        found |= ((rows - image).abs() <= ALIKE).flatten(1).all(1)
    return found


def _refresh(method: AnyMethod) -> None:
    """Let a method compute again what it derives from its state."""
    method.load_state_dict(copy.deepcopy(method.state_dict()))
