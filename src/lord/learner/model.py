"""A trained network in one safetensors file. Its header holds what rebuilds the shapes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import save_file
from torch import Generator, Tensor, nn

from lord.backbone.trained import MODEL_FILE, MODEL_FORMAT, read_network
from lord.config import UserError, as_path, first_line
from lord.data import Augment
from lord.learner.session import holds_learner
from lord.networks import NetworkConfig


@dataclass(frozen=True)
class Model:
    """A trained network with its preprocessing and its class names.

    Attributes:
        network: in evaluation mode; it may be narrower than ``config`` says.
        classes: name of each output.
        shape: channels, height and width of the images.
        mean, std: normalisation of each channel.
        config: name and full width of the network.
    """

    network: nn.Module
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    config: NetworkConfig

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Return the logits of N x C x H x W uint8 images, N x classes.

        Raises:
            UserError: for images of another shape or type.
        """
        allowed = f"a uint8 tensor of N x {' x '.join(map(str, self.shape))}"
        if not isinstance(images, Tensor):
            raise UserError(f"got a {type(images).__name__}", field="images", allowed=allowed)
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != self.shape:
            problem = f"got {tuple(images.shape)} of {images.dtype}"
            raise UserError(problem, field="images", allowed=allowed)
        plain = Generator(images.device)
        augment = Augment(self.mean, self.std, crop=0, flip=False, generator=plain)
        return self.network(augment.normalise(images))


@dataclass(frozen=True)
class Prediction:
    """What a learner says of one image.

    Attributes:
        label: name of the most likely class.
        confidence: its probability, from 0 to 1.
        unknown: how unusual the image is among images of known classes, from 0 to 1. At most 5 %
            of these get 0.95 or more. None unless it was asked for.
    """

    label: str
    confidence: float
    unknown: float | None = None


def save_model(model: Model, path: Path) -> None:
    """Write a model to a file."""
    header = {
        "format": MODEL_FORMAT,
        "classes": model.classes,
        "shape": model.shape,
        "mean": model.mean,
        "std": model.std,
        "config": msgspec.to_builtins(model.config),
    }
    state = model.network.state_dict()  # cloned, because one tensor may have two names
    tensors = {n: t.clone(memory_format=torch.contiguous_format) for n, t in state.items()}
    save_file(tensors, path, metadata={"lord": json.dumps(header)})


def load_model(path: str | Path) -> Model:
    """Read a model from its file, or from the folder of the run that trained it.

    Nothing in the file is executed. A file that does not fit is refused.

    >>> import tempfile
    >>> import lord
    >>> folder = tempfile.mkdtemp()
    >>> config = lord.compose("er", {"epochs": 1, "width": 8}, preset="digits")
    >>> record = lord.run(config, folder, overwrite=True)
    >>> model = lord.load_model(folder)
    >>> model.predict(torch.zeros((2, *model.shape), dtype=torch.uint8)).shape
    torch.Size([2, 10])

    Raises:
        UserError: if the file is missing, or does not hold a whole model.
    """
    path = as_path("path", path)
    if path.is_dir() and not (path / MODEL_FILE).exists() and holds_learner(path):
        raise UserError(
            f"'{path}' holds a learner, not a run's model", hint="use lord.Learner.load"
        )
    file = path / MODEL_FILE if path.is_dir() else path
    header, network = read_network(file)
    try:
        return _tried(header, network)
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"'{file}' does not hold a model: {first_line(error)}") from None


def _tried(header: Mapping[str, Any], network: nn.Module) -> Model:
    """Return the model of a file's header and network, after a trial."""
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = Model(
        network,
        tuple(header["classes"]),
        tuple(header["shape"]),
        tuple(header["mean"]),
        tuple(header["std"]),
        msgspec.convert(header["config"], NetworkConfig),
    )
    outputs = model.predict(torch.zeros((1, *model.shape), dtype=torch.uint8)).shape[1]
    if outputs != len(model.classes):
        raise ValueError(f"it has {len(model.classes)} class names for {outputs} outputs")
    return model
