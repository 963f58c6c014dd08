"""Find and replace the head of any classifier, and check its logits."""

import copy

import torch
from torch import Tensor, nn

from lord.config import UserError, first_line


def head_name(network: nn.Module) -> str:
    """Return the path of the last linear layer that the network defines: its head.

    >>> head_name(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    '1'

    Raises:
        UserError: if there is no linear layer.
    """
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        kind = type(network).__name__
        raise UserError("has no linear layer to use as its head", field="network", given=kind)
    return linear[-1]


def with_outputs(network: nn.Module, classes: int) -> nn.Module:
    """Return a copy of a classifier with a newly initialised head for ``classes`` classes.

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


@torch.no_grad()
def check_classifier(network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    """Check that a network can be trained on images of a shape, with one logit for each class.

    Args:
        network: it is not changed. A copy makes two passes, one in each mode.
        shape: channels, height and width of an image.
        classes: number of logits expected for an image.

    Raises:
        UserError: if the network cannot be trained. It gives the reason.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        kind = type(network).__name__
        raise UserError("has no trainable parameters", field="network", given=kind)
    for training in (False, True):
        _check_pass(copy.deepcopy(network).train(training), shape, classes)


def _check_pass(network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    kind = type(network).__name__
    try:
        logits = network(torch.zeros(2, *shape))
    except (RuntimeError, ValueError) as error:
        reason = f"does not accept images of shape {shape}: {first_line(error)}"
        raise UserError(reason, field="network", given=kind) from None
    if isinstance(logits, Tensor) and logits.shape == (2, classes):
        return
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    mode = "training" if network.training else "evaluation"
    raise UserError(
        f"returns {found} for 2 images in {mode} mode",
        field="network",
        given=kind,
        allowed=f"logits of shape {(2, classes)}",
    )
