"""Networks that this package trained, in one safetensors file with a header."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from lord.channels import assemble
from lord.config import UserError, first_line
from lord.networks import NetworkConfig, build_network, initialised

MODEL_FILE = "model.safetensors"
"""File in a run's folder with the trained network."""
MODEL_FORMAT = 1
"""Version of the header of a network on images."""
PARTS_FORMAT = 2
"""Version of the header of other models, which describes their parts under "parts"."""
GROUPED_FORMAT = 3
"""Version of the header of a model with outputs that have no class."""
FORMATS = (MODEL_FORMAT, PARTS_FORMAT, GROUPED_FORMAT)


def read_network(file: Path) -> tuple[dict[str, Any], nn.Module]:
    """Read a trained network and the header of its file. Nothing in the file is executed.

    Returns:
        The header, with the classes' names, an image's shape, mean and std, and the configuration;
        and the network in evaluation mode. It may be narrower than the configuration says.

    Raises:
        UserError: if the file is missing, or does not hold a network on images.
    """
    with damage_named(file):
        header, tensors = read_model(file)
        if "replaced" in header:
            raise UserError(f"'{file}' holds a network with outputs that have no class")
        if "parts" in header:
            kind = header["parts"]["kind"]
            raise UserError(f"'{file}' holds a model of kind '{kind}', not a network on images")
        config = msgspec.convert(header["config"], NetworkConfig)
        skeleton = skeleton_of(config, len(header["classes"]), header["shape"][0])
        return header, filled(skeleton, tensors, file).eval()


def skeleton_of(config: NetworkConfig, classes: int, channels: int) -> nn.Module:
    """Return a network of full width, whose weights do not matter."""
    return initialised(lambda: build_network(config, classes=classes, channels=channels), 0)


def filled(skeleton: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> nn.Module:
    """Return a network with a file's tensors. They may be narrower than those of the skeleton.

    Raises:
        UserError: if the tensors have other names.
    """
    if set(skeleton.state_dict()) != set(tensors):
        raise UserError(f"'{file}' does not hold the tensors of a {type(skeleton).__name__}")
    return assemble(skeleton, tensors)


@contextmanager
def damage_named(file: Path) -> Iterator[None]:
    """Turn errors inside, where a model's file is read, into a ``UserError``."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"there is no model at '{file}'") from None
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"'{file}' does not hold a model: {first_line(error)}") from None


def read_model(file: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the header and the tensors of a model's file."""
    with safe_open(file, framework="pt") as opened:
        notes = opened.metadata() or {}
        if "digest" in notes:
            raise UserError(
                f"'{file}' is a checkpoint, not a model", hint="lord.Learner.load reads a learner's"
            )
        header = json.loads(notes["lord"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if header["format"] not in FORMATS:
        known = ", ".join(map(str, FORMATS))
        raise UserError(f"'{file}' has format {header['format']}; this version reads {known}")
    return header, tensors
