"""Networks that this package trained, in one safetensors file with a header."""

import json
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
"""Version of the file's header."""


def read_network(file: Path) -> tuple[dict[str, Any], nn.Module]:
    """Read a trained network and the header of its file. Nothing in the file is executed.

    Returns:
        The header, with the classes' names, an image's shape, mean and std, and the configuration;
        and the network in evaluation mode. It may be narrower than the configuration says.

    Raises:
        UserError: if the file is missing, or does not hold a network.
    """
    try:
        header, tensors = _read(file)
        config = msgspec.convert(header["config"], NetworkConfig)
        classes, channels = len(header["classes"]), header["shape"][0]
        skeleton = initialised(lambda: build_network(config, classes=classes, channels=channels), 0)
        if set(skeleton.state_dict()) != set(tensors):
            raise UserError(f"'{file}' does not hold the tensors of a {config.network}")
        return header, assemble(skeleton, tensors).eval()
    except FileNotFoundError:
        raise UserError(f"there is no model at '{file}'") from None
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
