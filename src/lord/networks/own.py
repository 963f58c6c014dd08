"""Networks that are not ours: of torchvision, of timm, and a user's own modules."""

import copy
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import nn

from lord.config import UserError, choose, first_line

LIBRARIES = ("torchvision", "timm")
"""Named as ``library:model``, where installed. Such a model has its own width."""

Make = Callable[[int, int, int], nn.Module]
"""From classes, width and the images' channels to a network."""


def library_network(name: str) -> Make:
    """A model of torchvision or timm, not pretrained. name: as in ``timm:resnet18``.

    Raises:
        UserError: if the library is not installed or has no such model.
    """
    library, _, model = name.partition(":")
    choose("network's library", library, LIBRARIES)
    try:
        source: Any = import_module(library if library == "timm" else "torchvision.models")
    except Exception as error:  # beside another torch, torchvision fails in many ways
        said = first_line(error)
        raise UserError(
            f"network '{name}' needs {library}: pip install 'lord-cl[{library}]' ({said})"
        ) from None
    choose(f"{library} model", model, source.list_models())
    if library == "timm":
        return lambda classes, _, channels: source.create_model(
            model, num_classes=classes, in_chans=channels
        )

    def make(classes: int, _: int, channels: int) -> nn.Module:
        if channels != 3:
            raise UserError(f"network '{name}': expected images of 3 channels, got {channels}")
        return source.get_model(model, weights=None, num_classes=classes)

    return make


def head_name(network: nn.Module) -> str:
    """Path of the last linear layer, which gives the logits.

    Raises:
        UserError: if there is none.
    """
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        kind = type(network).__name__
        raise UserError(f"network {kind}: expected a linear layer for the classes, it has none")
    return linear[-1]


def with_outputs(network: nn.Module, classes: int) -> nn.Module:
    """A copy of a classifier with so many outputs, all of them new.

    Raises:
        UserError: if it has no linear layer.
    """
    twin, name = copy.deepcopy(network), head_name(network)
    old = twin.get_submodule(name)
    assert isinstance(old, nn.Linear)
    new = nn.Linear(old.in_features, classes, bias=old.bias is not None)
    if not name:
        return new
    twin.set_submodule(name, new)
    return twin


def maker(network: nn.Module | Make) -> Make:
    """How to make a user's network: a function is that already; of a module, copies are made,
    its weights kept but for the outputs."""
    if not isinstance(network, nn.Module):
        return network
    own = copy.deepcopy(network)  # as it is now
    return lambda classes, width, channels: with_outputs(own, classes)


@torch.no_grad()
def check_outputs(network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    """See that a network takes such images and gives a logit a class.

    Raises:
        UserError: if not.
    """
    kind = type(network).__name__
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UserError(f"network {kind}: none of its parameters may be trained")
    for training in (False, True):
        _check_pass(copy.deepcopy(network).train(training), kind, shape, classes)


def _check_pass(network: nn.Module, kind: str, shape: tuple[int, ...], classes: int) -> None:
    try:
        out = network(torch.zeros(2, *shape))
    except (RuntimeError, ValueError) as error:
        said = first_line(error)
        raise UserError(f"network {kind} does not take images of {shape}: {said}") from None
    if not isinstance(out, torch.Tensor) or tuple(out.shape) != (2, classes):
        given = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        way = "training" if network.training else "predicting"
        raise UserError(
            f"network {kind}: expected 2 x {classes} logits of 2 images, got {given} in {way}"
        )
