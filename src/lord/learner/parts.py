"""What rebuilds a saved model whose trained part is more, or less, than a network on images."""

from collections.abc import Mapping

from msgspec.structs import replace
from torch import Tensor, nn

from lord.backbone import Backbone, BackboneConfig
from lord.backbone.trained import skeleton_of
from lord.config import Config, UserError
from lord.methods import Kind, above_cut
from lord.methods.fused import FusedStudent
from lord.methods.fusion import HEAD_ONLY
from lord.networks import NetworkConfig


class Parts(Config, frozen=True):
    """Parts of a saved model that its tensors do not tell."""

    kind: Kind
    """What was trained."""
    backbone: BackboneConfig = BackboneConfig()
    """The frozen network, if there is one. Its weights are not saved."""
    sha256: str | None = None
    """Hash of the frozen network's weights."""
    layers: tuple[str, ...] = ()
    """Types of a head's layers, in order."""
    sides: tuple[int, int] | None = None
    """Height and width in pixels of the images of a student beside a head."""


LAYERS = ("Linear", "ReLU")
"""Layers of heads that can be read."""


def parts_of(kind: Kind, network: nn.Module, backbone: Backbone | None) -> Parts:
    """Return what must be saved beside the tensors of a trained part.

    Args:
        kind: what was trained.
        network: the trained part.
        backbone: the frozen network; None without one.
    """
    parts = Parts(kind)
    if backbone is not None:
        config = replace(backbone.config, backbone_size=backbone.size)
        parts = replace(parts, backbone=config, sha256=backbone.pretrained.digest)
    if kind == "fused":
        assert isinstance(network, FusedStudent)
        return replace(parts, sides=network.sides, layers=_layers(network.head))
    return replace(parts, layers=_layers(network)) if kind == "head" else parts


def _layers(head: nn.Module) -> tuple[str, ...]:
    layers = head if isinstance(head, nn.Sequential) else [head]
    return tuple(type(layer).__name__ for layer in layers)


def read_backbone(parts: Parts, shape: tuple[int, int, int]) -> Backbone | None:
    """Load the backbone of a saved model; None without one.

    Args:
        parts: parts of the model.
        shape: channels, height and width of the images.

    Raises:
        UserError: if it cannot be loaded, or has other weights.
    """
    if parts.backbone.backbone is None:
        return None
    backbone = Backbone(parts.backbone, max(shape[1:]))
    if backbone.pretrained.digest != parts.sha256:
        raise UserError(
            "has other weights than when this model was trained",
            field="backbone",
            given=parts.backbone.backbone,
            hint="install the package with those weights",
        )
    return backbone


def skeleton_of_parts(
    parts: Parts,
    config: NetworkConfig,
    classes: int,
    shape: tuple[int, int, int],
    backbone: Backbone | None,
    tensors: Mapping[str, Tensor],
) -> nn.Module:
    """Return a trained part of full width. Its weights do not matter.

    Args:
        parts: parts of the model.
        config: name and full width of a student's network.
        classes: number of outputs.
        shape: channels, height and width of the images.
        backbone: the frozen network; None without one.
        tensors: the saved tensors by name.

    Raises:
        UserError: if a head has layers that cannot be read.
    """
    if parts.kind == "latents" and backbone is not None:
        return above_cut(backbone, classes, 0)
    if parts.kind == "head":
        return _head(parts.layers, tensors)
    if parts.kind == "fused" and parts.sides is not None:
        inside = {n.removeprefix("head."): t for n, t in tensors.items() if n.startswith("head.")}
        student = skeleton_of(config, classes, shape[0])
        head, seen = _head(parts.layers, inside), tensors["seen"]
        return FusedStudent(head, student, HEAD_ONLY, seen, parts.sides)
    raise ValueError(f"it has not all parts of a model of kind '{parts.kind}'")


def _head(layers: tuple[str, ...], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return a head with these layers, with sizes from its tensors.

    Raises:
        UserError: if a layer's type is not known.
    """
    made: list[nn.Module] = []
    for place, name in enumerate(layers):
        if name not in LAYERS:
            raise UserError(
                f"the model's head has a layer of type {name}", allowed=", ".join(LAYERS)
            )
        if name == "ReLU":
            made.append(nn.ReLU())
            continue
        prefix = f"{place}." if len(layers) > 1 else ""
        outputs, inputs = tensors[f"{prefix}weight"].shape
        made.append(nn.Linear(inputs, outputs, bias=f"{prefix}bias" in tensors))
    return made[0] if len(made) == 1 else nn.Sequential(*made)
