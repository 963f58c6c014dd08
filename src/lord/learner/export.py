"""Export a trained network to ONNX, to ONNX with 8-bit integers, or to PyTorch's pt2."""

import copy
import io
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lord.backbone.engine import onnx_program, quiet
from lord.config import UserError, first_line
from lord.storage.files import write_atomic

ALLOWED = 1.0
"""Points of accuracy that int8 may lose on the images given."""
CHANCE = 0.05
"""Probability from which on a larger loss counts as chance."""


class Deployed(nn.Module):
    """A classifier of raw images, for export.

    It maps N x C x H x W uint8 images to N x classes probabilities.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    >>> from lord.methods import Pipeline
    >>> pipeline = Pipeline(network, [0.5] * 3, [0.2] * 3)
    >>> Deployed(pipeline)(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)).shape
    torch.Size([2, 3])

    Args:
        network: from N x C x H x W uint8 images to logits, as ``deployable`` makes it. It is
            copied.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        copied = copy.deepcopy(network).eval().requires_grad_(False)
        plain = torch.contiguous_format  # training may have used another memory order
        self.network = copied.to(memory_format=plain)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).softmax(1)


def export_pt2(deployed: Deployed, classes: Sequence[str], example: Tensor, path: Path) -> None:
    """Write PyTorch's exported program, with the class names in its extra file ``classes.json``.

    Args:
        example: N x C x H x W uint8; it sets the size of images, not their number.

    Raises:
        UserError: if the network cannot be exported.
    """
    batch = torch.export.Dim("batch", min=1, max=4096)
    with _export_errors():
        program = torch.export.export(deployed, (example,), dynamic_shapes=({0: batch},))
    extra, written = {"classes.json": json.dumps(list(classes))}, io.BytesIO()
    torch.export.save(program, written, extra_files=extra)  # a full disk would abort the process
    write_atomic(path, lambda draft: draft.write_bytes(written.getbuffer()))


def export_onnx(deployed: Deployed, classes: Sequence[str], images: Tensor, path: Path) -> float:
    """Write an ONNX model with class names in its metadata, and compare it with PyTorch.

    Args:
        images: N x C x H x W uint8, on which both are compared.

    Returns:
        The largest difference between the two models' probabilities.

    Raises:
        UserError: if onnxruntime is not installed, the network cannot be exported, or the two
            differ.
    """
    session = _runtime()
    with _export_errors():
        program = onnx_program(deployed, images, "images", "probabilities")
    program.model.metadata_props["classes"] = json.dumps(list(classes))
    with torch.no_grad():
        wanted = deployed(images)

    def write(draft: Path) -> float:
        program.save(draft, external_data=False)
        with _export_errors():
            got = session(draft).run(None, {"images": images.contiguous().numpy()})[0]
        difference = float((torch.from_numpy(got) - wanted).abs().max())
        if not difference < 1e-3:
            raise UserError(
                f"'{path}' was not written: its probabilities differ from PyTorch's by up to "
                f"{difference:.2g}"
            )
        return difference

    return write_atomic(path, write)


def export_int8(fp32: Path, images: Tensor, labels: Tensor, path: Path) -> tuple[float, float]:
    """Write an ONNX model with 8-bit weights and activations, if it is as accurate.

    Args:
        fp32: file of the ONNX model in 32 bits.
        images, labels: used to calibrate activations, and to compare accuracy.

    Returns:
        Accuracy on the images in fp32 and in int8, in percent.

    Raises:
        UserError: if onnxruntime is not installed, or accuracy falls by more than ``ALLOWED`` and
            not by chance.
    """
    session = _runtime()
    from onnxruntime.quantization import (  # noqa: PLC0415
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.parts = iter(images.contiguous().split(32))

        def get_next(self) -> dict[str, Any] | None:
            part = next(self.parts, None)
            return None if part is None else {"images": part.numpy()}

    def write(draft: Path) -> tuple[float, float]:
        with quiet():
            quantize_static(
                fp32,
                draft,
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,  # eight bits overflow on processors without VNNI
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        right = []
        for file in (fp32, draft):
            with _export_errors():
                found = session(file).run(None, {"images": images.contiguous().numpy()})[0]
            right.append(torch.from_numpy(found.argmax(1)) == labels)
        before, after = (100 * float(each.float().mean()) for each in right)
        lost, gained = (int((right[n] & ~right[1 - n]).sum()) for n in (0, 1))
        if before - after > ALLOWED and chance_of(lost, gained) < CHANCE:
            raise UserError(
                f"accuracy would fall from {before:.1f} to {after:.1f} % on {len(images)} images",
                field="int8",
                hint="nothing was written",
            )
        return before, after

    return write_atomic(path, write)


def chance_of(lost: int, gained: int) -> float:
    """Return the probability that chance loses so many images or more: the exact sign test.

    >>> chance_of(5, 0), chance_of(1, 0)
    (0.03125, 0.5)

    Args:
        lost: images that only the first model recognises.
        gained: images that only the second model recognises.
    """
    total = lost + gained
    return sum(math.comb(total, k) for k in range(lost, total + 1)) / 2**total


@contextmanager
def _export_errors() -> Iterator[None]:
    """Turn any error inside, where a network is converted, into a ``UserError``."""
    try:
        yield
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"this network cannot be exported: {reason}") from error


def _runtime() -> Any:
    """Return a function that makes an onnxruntime session from a file.

    Raises:
        UserError: if onnxruntime or onnxscript is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415
        import onnxscript  # noqa: F401, PLC0415
    except ImportError as error:
        hint = "pip install 'lord-cl[export]'"
        raise UserError(f"export needs {error.name}", hint=hint) from None
    providers = ["CPUExecutionProvider"]
    return lambda path: onnxruntime.InferenceSession(str(path), providers=providers)
