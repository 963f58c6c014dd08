"""A trained network in one safetensors file; its header holds what rebuilds the shapes."""

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor, nn

from lord.channels import assemble
from lord.config import UserError, as_path, first_line
from lord.data import Augment
from lord.learner.session import STATE_FILE
from lord.networks import NetworkConfig, build_network, initialised

FORMAT = 1


@dataclass(frozen=True)
class Model:
    """A network and what is needed to use it.

    Attributes:
        network: in evaluation mode, perhaps narrower than ``config`` says.
        classes: name of each output.
        shape: channels, height, width of the images.
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
        """N x C x H x W uint8 images to N x classes logits.

        Raises:
            UserError: for images of another shape or type.
        """
        wrong = f"expected a tensor of N x {self.shape} uint8 images, got "
        if not isinstance(images, Tensor):
            raise UserError(wrong + f"a {type(images).__name__}")
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != self.shape:
            raise UserError(wrong + f"{tuple(images.shape)} of {images.dtype}")
        plain = Generator(images.device)
        augment = Augment(self.mean, self.std, crop=0, flip=False, generator=plain)
        return self.network(augment.normalise(images))


@dataclass(frozen=True)
class Prediction:
    """Of one image: the class and how sure the learner is, 0 to 1."""

    label: str
    confidence: float


def save_model(model: Model, path: Path) -> None:
    """Write ``model`` to ``path``."""
    header = {
        "format": FORMAT,
        "classes": model.classes,
        "shape": model.shape,
        "mean": model.mean,
        "std": model.std,
        "config": msgspec.to_builtins(model.config),
    }
    state = model.network.state_dict()  # copied: one tensor may stand under two names
    tensors = {n: t.clone(memory_format=torch.contiguous_format) for n, t in state.items()}
    save_file(tensors, path, metadata={"lord": json.dumps(header)})


def load_model(path: str | Path) -> Model:
    """Read a model, from its file or from the folder of the run that made it.

    Nothing in the file is executed; a file that does not fit is refused.

    Raises:
        UserError: if there is no such file, or it is not a whole model of ours.
    """
    path = as_path("path", path)
    file = path / "model.safetensors" if path.is_dir() else path
    try:
        with safe_open(file, framework="pt") as opened:
            notes = opened.metadata() or {}
            if "digest" in notes:
                raise UserError(
                    f"'{file}' is a state, not a model: lord.Learner.load takes a learner's"
                )
            header = json.loads(notes["lord"])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        if header["format"] != FORMAT:
            raise UserError(f"'{file}' has format {header['format']}, known: {FORMAT}")
        config = msgspec.convert(header["config"], NetworkConfig)
        classes, channels = len(header["classes"]), header["shape"][0]
        skeleton = initialised(lambda: build_network(config, classes=classes, channels=channels), 0)
        wanted = set(skeleton.state_dict())
        if wanted != set(tensors):
            raise UserError(f"'{file}' does not hold the tensors of a {config.network}")
        network = assemble(skeleton, tensors).eval()
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        shape = tuple(header["shape"])
        model = Model(
            network,
            tuple(header["classes"]),
            shape,
            tuple(header["mean"]),
            tuple(header["std"]),
            config,
        )
        outputs = model.predict(torch.zeros((1, *shape), dtype=torch.uint8)).shape[1]
        if outputs != len(model.classes):
            raise ValueError(f"{len(model.classes)} class names for {outputs} outputs")
    except FileNotFoundError:
        learner = path.is_dir() and (path / STATE_FILE).exists()
        said = f"'{path}' is a learner, not a run's model: lord.Learner.load takes it"
        raise UserError(said if learner else f"no model at '{path}'") from None
    except (
        SafetensorError,
        OSError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:
        said = first_line(error)
        raise UserError(f"'{file}' is not a model of LoRD: {said}") from None
    return model
