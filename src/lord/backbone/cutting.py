"""Split a network into a frozen part below a cut and a part above it that can be trained."""

import copy

import torch
from torch import Tensor, nn

from lord.backbone.config import share_of
from lord.backbone.traced import Traced
from lord.config import UserError, nearest
from lord.networks import head_name


def cut_network(
    network: nn.Module, cut: str | None, example: Tensor
) -> tuple[nn.Module, nn.Module]:
    """Split a network in two, so that ``above(below(x))`` equals ``network(x)``.

    Both parts are copies in evaluation mode. Above a layer inside the network, functional dropout
    stays off in training mode; layers such as ``nn.Dropout`` and ``nn.BatchNorm2d`` follow the
    mode.

    >>> network = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    >>> below, above = cut_network(network, None, torch.zeros(1, 8))
    >>> above
    Linear(in_features=4, out_features=2, bias=True)
    >>> below(torch.zeros(3, 8)).shape
    torch.Size([3, 4])

    Args:
        network: it is not changed.
        cut: None for the input of the classifier, which is the last linear layer; a layer's name;
            or the largest share of the FLOPs below the cut, such as "0.6".
        example: images as the network takes them. One is enough.

    Returns:
        The part below, where no parameter takes gradients, and the part above, where all do. With
        ``cut=None``, the part below returns N x features. A network without a classifier gets
        ``nn.Identity`` above.

    Raises:
        UserError: if the network cannot be cut there. It names cuts that are possible.
    """
    network = copy.deepcopy(network).eval()
    if cut is None:
        below, above = _at_classifier(network, example)
    else:
        traced = Traced(network, example)
        below, above = traced.split(_place(traced, cut))
    return below.eval().requires_grad_(False), above.eval().requires_grad_(True)


def cuts(network: nn.Module, example: Tensor) -> list[tuple[str, float, int]]:
    """Return the layers after which a network can be cut.

    >>> network = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> cuts(network, torch.zeros(1, 8))
    [('0', 0.8, 4), ('1', 0.8, 4)]

    Args:
        network: it is not changed.
        example: images as the network takes them. One is enough.

    Returns:
        For each layer its name, the share of the forward pass's FLOPs up to it, and the values
        that the layer returns for an image.

    Raises:
        UserError: if the network cannot be traced.
    """
    traced = Traced(copy.deepcopy(network).eval(), example)
    return [(name, traced.share(name), traced.values(name)) for name in traced.listed]


def _place(traced: Traced, cut: str) -> str:
    """Return the name of the layer after which a cut is made.

    Raises:
        UserError: if there is none.
    """
    share = share_of(cut)
    if share is not None:
        names = [name for name in traced.listed if traced.share(name) <= share]
        if names:
            return names[-1]
        lowest = traced.listed[0] if traced.listed else None
        hint = f"the first cut, '{lowest}', has {traced.share(lowest):.3f}" if lowest else None
        problem = "is less than any layer's share of the FLOPs"
        raise UserError(problem, field="cut", given=cut, hint=hint)
    if cut in traced.allowed:
        return cut
    if cut in traced.nodes:
        near = " and ".join(f"'{name}'" for name in traced.near(cut))
        problem = "cannot be the cut, because later layers need more than what it returns"
        if not traced.is_below_classifier(cut):
            problem = "is not below the classifier"
        hint = f"the nearest cuts are {near}" if near else None
        raise UserError(problem, field="cut", given=cut, hint=hint)
    some = ", ".join(traced.listed[-8:])
    raise UserError(
        "is not a layer of the backbone",
        field="cut",
        given=cut,
        allowed=f"one such as {some}" if some else None,
        hint=nearest(cut, traced.listed),
    )


class _ClassifierInput(nn.Module):
    """Returns what a network passes to its classifier, for networks that use its weights too."""

    def __init__(self, network: nn.Module, classifier: str) -> None:
        super().__init__()
        self.network, self.classifier = network, classifier

    def forward(self, x: Tensor) -> Tensor:
        return _calls(self.network, self.classifier, x)[0][-1][0]


@torch.no_grad()
def _at_classifier(network: nn.Module, example: Tensor) -> tuple[nn.Module, nn.Module]:
    """Split a network at the input of its classifier.

    The last linear layer is the classifier if the network returns what that layer returns. A
    network where it does not is taken to return features.
    """
    try:
        name = head_name(network)
    except UserError:
        return _features_of(network, network(example)), nn.Identity()
    calls, out = _calls(network, name, example)
    if not calls or not torch.equal(calls[-1][1], out):
        return _features_of(network, out), nn.Identity()
    below: nn.Module = nn.Identity()
    if name:
        below = copy.deepcopy(network)
        below.set_submodule(name, nn.Identity())
        if not _returns(below, example, calls[-1][0]):
            below = _ClassifierInput(network, name)
    return _features_of(below, calls[-1][0]), copy.deepcopy(network.get_submodule(name))


def _returns(network: nn.Module, x: Tensor, wanted: Tensor) -> bool:
    """Return whether a network can be called and gives the wanted values."""
    try:
        return torch.equal(network(x), wanted)
    except Exception:  # such as code that reads the weights of a replaced layer
        return False


def _calls(network: nn.Module, name: str, x: Tensor) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """Return the input and the output of a layer in each call, and the network's output."""
    calls: list[tuple[Tensor, Tensor]] = []
    layer = network.get_submodule(name)
    hook = layer.register_forward_hook(lambda _, inputs, out: calls.append((inputs[0], out)))
    try:
        return calls, network(x)
    finally:
        hook.remove()


def _features_of(below: nn.Module, returned: object) -> nn.Module:
    """Return the part below a cut, if it returns N x features.

    Raises:
        UserError: if it returns something else.
    """
    if isinstance(returned, Tensor) and returned.dim() == 2:
        return below
    found = tuple(returned.shape) if isinstance(returned, Tensor) else type(returned).__name__
    raise UserError(
        f"the network returns {found}",
        field="backbone",
        allowed="N x features, or the logits of a linear layer",
    )
