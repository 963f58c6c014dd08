"""A trained network in one safetensors file. Its header holds what rebuilds the shapes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor, nn

from lord.channels import assemble
from lord.config import UserError, as_path, first_line
from lord.data import Augment
from lord.learner.session import MODEL_FILE, holds_learner
from lord.networks import NetworkConfig, build_network, initialised

MODEL_FORMAT = 1
"""Version of the file's header."""


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
    """

    label: str
    confidence: float


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
    try:
        header, tensors = _read(file)
        return _restored(header, tensors, file)
    except FileNotFoundError:
        raise UserError(f"there is no model at '{path}'") from None
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"'{file}' does not hold a model: {first_line(error)}") from None


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the header and the tensors of a model's file."""
    with safe_open(file, framework="pt") as opened:
        notes = opened.metadata() or {}
        if "digest" in notes:
            raise UserError(
                f"'{file}' is a checkpoint, not a model", hint="lord.Learner.load reads a learner's"
            )
        header = json.loads(notes["lord"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if header["format"] != MODEL_FORMAT:
        raise UserError(
            f"'{file}' has format {header['format']}; this version reads {MODEL_FORMAT}"
        )
    return header, tensors


def _restored(header: Mapping[str, Any], tensors: dict[str, Tensor], file: Path) -> Model:
    """Return the model of a file's header and tensors, after a trial of its network."""
    config = msgspec.convert(header["config"], NetworkConfig)
    classes, channels = len(header["classes"]), header["shape"][0]
    skeleton = initialised(lambda: build_network(config, classes=classes, channels=channels), 0)
    if set(skeleton.state_dict()) != set(tensors):
        raise UserError(f"'{file}' does not hold the tensors of a {config.network}")
    network = assemble(skeleton, tensors).eval()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = Model(
        network,
        tuple(header["classes"]),
        tuple(header["shape"]),
        tuple(header["mean"]),
        tuple(header["std"]),
        config,
    )
    outputs = model.predict(torch.zeros((1, *model.shape), dtype=torch.uint8)).shape[1]
    if outputs != len(model.classes):
        raise ValueError(f"it has {len(model.classes)} class names for {outputs} outputs")
    return model
