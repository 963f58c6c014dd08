"""A trained network for elsewhere: ONNX, its int8 form, or torch's own exported program."""

import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lord.config import UserError, first_line
from lord.storage.files import write_atomic

ALLOWED = 1.0
"""Points of accuracy that eight bits may cost on the images given."""


class Deployed(nn.Module):
    """N x C x H x W uint8 images to N x classes probabilities: preprocessing is inside."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        own = copy.deepcopy(network).eval()  # in plain memory order, whatever it was trained in
        self.network = own.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.register_buffer("scale", (1 / (255 * torch.tensor(std))).view(-1, 1, 1))
        self.register_buffer("shift", (-torch.tensor(mean) / torch.tensor(std)).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images.float() * self.scale + self.shift).softmax(1)


def export_pt2(deployed: Deployed, classes: Sequence[str], example: Tensor, path: Path) -> None:
    """Write torch's exported program; ``classes.json`` is among its extra files."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    with _told():
        program = torch.export.export(deployed, (example,), dynamic_shapes=({0: batch},))
    extra, whole = {"classes.json": json.dumps(list(classes))}, io.BytesIO()
    torch.export.save(program, whole, extra_files=extra)  # to a full disk, it would abort
    write_atomic(path, lambda draft: draft.write_bytes(whole.getbuffer()))


def export_onnx(deployed: Deployed, classes: Sequence[str], images: Tensor, path: Path) -> float:
    """Write an ONNX model, class names in its metadata, and check it against PyTorch.

    Args:
        images: N x C x H x W uint8, what it is checked on.

    Returns:
        The largest difference between its probabilities and PyTorch's.

    Raises:
        UserError: if onnx is not installed, or the two differ.
    """
    session = _runtime()
    with _quiet(), _told():
        batch = torch.export.Dim("batch", min=1, max=4096)
        program = torch.onnx.export(
            deployed,
            (images[:2],),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            input_names=["images"],
            output_names=["probabilities"],
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props["classes"] = json.dumps(list(classes))
    with torch.no_grad():
        wanted = deployed(images)

    def write(draft: Path) -> float:
        program.save(draft, external_data=False)
        with _told():
            got = session(draft).run(None, {"images": images.contiguous().numpy()})[0]
        difference = float((torch.from_numpy(got) - wanted).abs().max())
        if not difference < 1e-3:
            raise UserError(f"'{path}' would differ from PyTorch by {difference:.2g}: not written")
        return difference

    return write_atomic(path, write)


def export_int8(fp32: Path, images: Tensor, labels: Tensor, path: Path) -> tuple[float, float]:
    """Write the ONNX model with weights and activations of eight bits, if it is as good.

    Args:
        fp32: file of the ONNX model.
        images, labels: what activations are measured and accuracy is compared on.

    Returns:
        Accuracy on the images in fp32 and in int8, in percent.

    Raises:
        UserError: if onnxruntime is not installed, or accuracy falls by more than ``ALLOWED``.
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

    with _quiet():
        write_atomic(
            path,
            lambda draft: quantize_static(
                fp32,
                draft,
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            ),
        )
    shares = []
    for file in (fp32, path):
        guesses = session(file).run(None, {"images": images.contiguous().numpy()})[0].argmax(1)
        shares.append(100 * float((torch.from_numpy(guesses) == labels).float().mean()))
    if shares[0] - shares[1] > ALLOWED:
        path.unlink()
        raise UserError(
            f"int8: accuracy would fall from {shares[0]:.1f} to {shares[1]:.1f} % on the images "
            "kept; not written"
        )
    return shares[0], shares[1]


@contextmanager
def _told() -> Iterator[None]:
    """Inside, a network is converted, which fails in many ways.

    Raises:
        UserError: if it does.
    """
    try:
        yield
    except Exception as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"this network cannot be exported: {said}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, libraries warn of nothing: what they write is checked."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _runtime() -> Any:
    """Makes a session of onnxruntime from a file.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415
        import onnxscript  # noqa: F401, PLC0415
    except ImportError as error:
        raise UserError(f"export needs {error.name}: pip install 'lord-cl[export]'") from None
    providers = ["CPUExecutionProvider"]
    return lambda path: onnxruntime.InferenceSession(str(path), providers=providers)
