"""A trained classifier in one safetensors file. Its header holds what rebuilds the shapes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lord.backbone import Backbone
from lord.backbone.trained import (
    GROUPED_FORMAT,
    MODEL_FILE,
    MODEL_FORMAT,
    PARTS_FORMAT,
    damage_named,
    filled,
    read_model,
    skeleton_of,
)
from lord.config import UserError, as_path
from lord.learner.images import AnyImages, as_images, batches
from lord.learner.parts import Parts, parts_of, read_backbone, skeleton_of_parts
from lord.learner.session import holds_learner
from lord.methods import Kind, Pipeline
from lord.methods.fused import FusedStudent
from lord.networks import NetworkConfig


@dataclass(frozen=True)
class Model:
    """A trained classifier with its preprocessing and its class names.

    Attributes:
        network: the trained part, in evaluation mode; it may be narrower than ``config`` says.
        classes: name of each output that has a class.
        shape: channels, height and width of the images.
        mean, std: normalisation of each channel of what the network gets.
        config: name and full width of the network, for the kinds "network" and "fused".
        kind: what was trained: a "network" on images, a "head" over features or pixels, a network
            above a cut ("latents"), or a network beside a head ("fused").
        backbone: frozen network before the trained part; None without one.
        replaced: outputs of the network without a class, see ``lord.methods.Replaced``.
    """

    network: nn.Module
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    config: NetworkConfig
    kind: Kind = "network"
    backbone: Backbone | None = None
    replaced: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def pipeline(self) -> nn.Module:
        """One network from N x C x H x W uint8 images to logits. It shares the weights."""
        parts = (self.network, self.mean, self.std, self.kind, self.backbone, self.replaced)
        return Pipeline(*parts).eval()

    @torch.no_grad()
    def predict(self, images: AnyImages) -> Tensor:
        """Return the logits of images, N x classes.

        Args:
            images: N x C x H x W uint8, or files, PIL images and arrays of any size, which are
                resized.

        Raises:
            UserError: for anything else, or a file that cannot be read. It names the file.
        """
        if isinstance(images, Tensor) and tuple(images.shape[1:]) == self.shape:
            return self.pipeline(as_images(images, self.shape))
        parts = [self.pipeline(part) for part in batches(images, self.shape)]
        return torch.cat(parts) if parts else torch.empty(0, len(self.classes))


@dataclass(frozen=True)
class Prediction:
    """What a learner says of one image.

    Attributes:
        label: name of the most likely class.
        confidence: its probability, from 0 to 1.
        unknown: how unusual the image is among images of known classes, from 0 to 1. At most 5 %
            of these get 0.95 or more. None unless it was asked for.
        top: the most likely classes with their probabilities, the most likely one first. Empty
            unless more than one was asked for.
    """

    label: str
    confidence: float
    unknown: float | None = None
    top: tuple[tuple[str, float], ...] = ()


def save_model(model: Model, path: Path) -> None:
    """Write a model to a file. Of a backbone, only its name and a hash of its weights are written.

    Args:
        model: a model.
        path: file to write.
    """
    header = {
        "format": MODEL_FORMAT,
        "classes": model.classes,
        "shape": model.shape,
        "mean": model.mean,
        "std": model.std,
        "config": msgspec.to_builtins(model.config),
    }
    if model.kind != "network":
        parts = parts_of(model.kind, model.network, model.backbone)
        header |= {"format": PARTS_FORMAT, "parts": msgspec.to_builtins(parts)}
    if model.replaced:
        header |= {"format": GROUPED_FORMAT, "replaced": sorted(model.replaced.items())}
    state = model.network.state_dict()  # cloned, because one tensor may have two names
    tensors = {n: t.clone(memory_format=torch.contiguous_format) for n, t in state.items()}
    save_file(tensors, path, metadata={"lord": json.dumps(header)})


def load_model(path: str | Path) -> Model:
    """Read a model from its file, or from the folder of the run that trained it.

    Nothing in the file is executed. A file that does not fit is refused. If the model has a
    backbone, it is loaded as it was for the run, and must have the same weights.

    >>> import tempfile
    >>> import lord
    >>> folder = tempfile.mkdtemp()
    >>> config = lord.compose("er", {"epochs": 1, "width": 8}, preset="digits")
    >>> record = lord.run(config, folder, overwrite=True)
    >>> model = lord.load_model(folder)
    >>> model.predict(torch.zeros((2, *model.shape), dtype=torch.uint8)).shape
    torch.Size([2, 10])

    Raises:
        UserError: if the file is missing, or does not hold a whole model, or if the model's
            backbone cannot be loaded or has other weights.
    """
    path = as_path("path", path)
    if path.is_dir() and not (path / MODEL_FILE).exists() and holds_learner(path):
        raise UserError(
            f"'{path}' holds a learner, not a run's model", hint="use lord.Learner.load"
        )
    file = path / MODEL_FILE if path.is_dir() else path
    with damage_named(file):
        header, tensors = read_model(file)
        return _tried(header, tensors, file)


def _tried(header: Mapping[str, Any], tensors: Mapping[str, Tensor], file: Path) -> Model:
    """Return the model of a file's header and tensors, after a trial."""
    config = msgspec.convert(header["config"], NetworkConfig)
    classes, shape = tuple(header["classes"]), tuple(header["shape"])
    kind: Kind = "network"
    backbone, replaced = None, dict(header.get("replaced", ()))
    count = len(classes) + len(replaced)
    if "parts" in header:
        parts = msgspec.convert(header["parts"], Parts)
        kind, backbone = parts.kind, read_backbone(parts, shape)
        skeleton = skeleton_of_parts(parts, config, count, shape, backbone, tensors)
    else:
        skeleton = skeleton_of(config, count, shape[0])
    network = filled(skeleton, tensors, file).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean, std = tuple(header["mean"]), tuple(header["std"])
    if isinstance(network, FusedStudent):
        network.replaced = replaced
    model = Model(network, classes, shape, mean, std, config, kind, backbone, replaced)
    outputs = model.predict(torch.zeros((1, *model.shape), dtype=torch.uint8)).shape[1]
    if outputs != len(model.classes):
        raise ValueError(f"it has {len(model.classes)} class names for {outputs} outputs")
    return model
