"""A classifier from raw images to logits, as one network."""

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lord.backbone import Backbone
from lord.methods.closed_form import ClosedForm
from lord.methods.fused import FusedStudent, LoRDFused
from lord.methods.method import AnyMethod
from lord.methods.outputs import Replaced, grouped, kept_outputs

Kind = Literal["network", "head", "latents", "fused"]
"""What was trained: a network on images, a head over features or pixels, a network above a cut, or
a network on small images beside a head."""


class Pipeline(nn.Module):
    """Everything between raw images and logits: a trained network, and what comes before it.

    It maps N x C x H x W uint8 images to N x classes logits.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    >>> images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    >>> Pipeline(network, [0.5] * 3, [0.2] * 3)(images).shape
    torch.Size([2, 3])

    Args:
        network: the trained part, which is shared.
        mean, std: normalisation of each channel of images, or of latents.
        kind: what was trained.
        backbone: frozen network before the trained part; None without one.
        replaced: outputs of the network without a class, see ``Replaced``. They are left out.
    """

    scale: Tensor
    shift: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        kind: Kind = "network",
        backbone: Backbone | None = None,
        replaced: Replaced | None = None,
    ) -> None:
        super().__init__()
        self.kind, self.network, self.replaced = kind, network, replaced or {}
        self.frozen = None if backbone is None else Frozen(backbone)
        mean_, std_ = (torch.tensor(each).view(-1, 1, 1) for each in (mean, std))
        self.register_buffer("mean", mean_)
        self.register_buffer("std", std_)
        self.register_buffer("scale", 1 / (255 * std_))
        self.register_buffer("shift", -mean_ / std_)

    def forward(self, images: Tensor) -> Tensor:
        logits = self._outputs(images)
        if not self.replaced:
            return logits
        if self.kind in ("network", "latents"):  # others keep such outputs low themselves
            logits = grouped(logits, self.replaced)
        return logits[:, kept_outputs(self.replaced, logits.shape[1])]

    def _outputs(self, images: Tensor) -> Tensor:
        features = images if self.frozen is None else self.frozen(images)
        if self.kind == "latents":
            return self.network(self._normalised(self._rounded(features)))
        if self.kind == "network":
            return self.network(self._normalised(images))
        if self.frozen is None:
            features = self._normalised(images)
        if self.kind == "head":
            return self.network(features.flatten(1))
        assert isinstance(self.network, FusedStudent)
        return self.network(features.flatten(1), self._normalised(self.network.small(images)))

    def _normalised(self, images: Tensor) -> Tensor:
        return images.float() * self.scale + self.shift

    def _rounded(self, features: Tensor) -> Tensor:
        """Return features with eight bits for each value, as ``Latents`` stores them."""
        values = features if features.dim() == 4 else features[:, :, None, None]
        return ((values * self.std + self.mean) * 255).round().clamp(0, 255)


class Frozen(nn.Module):
    """The frozen network of a backbone, with the resizing before it, as one module."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.prepared, self.network = backbone.prepared, backbone.network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.prepared(images))


def trained_part(method: AnyMethod) -> tuple[Kind, nn.Module]:
    """Return what a method has trained, as ``Pipeline`` takes it. It is shared with the method."""
    if isinstance(method, LoRDFused):
        head = method.head
        head.solve()
        fused = method.fused()
        return ("head", head.student) if fused is None else ("fused", fused)
    if isinstance(method, ClosedForm):
        method.solve()
    if method.traits.features == "only":
        return "head", method.predictor
    return ("latents" if method.context.latents else "network"), method.predictor


@torch.no_grad()
def deployable(method: AnyMethod) -> nn.Module:
    """Return one network that predicts what a method predicts, from raw images.

    The trained part is copied. Frozen weights are shared.

    Args:
        method: after any task.

    Returns:
        A module in evaluation mode from N x C x H x W uint8 images to N x classes logits. Images
        are those of the stream, also for a method that gets latents.
    """
    kind, network = trained_part(method)
    augment, backbone = method.augment, method.context.frozen
    copied = copy.deepcopy(network)
    pipeline = Pipeline(copied, augment.mean, augment.std, kind, backbone, method.replaced)
    return pipeline.to(method.device).eval()
