"""Run a frozen network as fast as the machine allows."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lord.config import UserError
from lord.data.cache import cache_folder
from lord.storage import write_atomic

CHUNK = 64
"""Images in one pass."""
AGREED = 1e-3
"""Largest difference between the features of two engines, as a share of the largest feature."""


def fastest(network: nn.Module, example: Tensor, key: str) -> Callable[[Tensor], Tensor]:
    """Return a function that computes what a frozen network does, in evaluation mode.

    On a CPU with onnxruntime it is an ONNX file. The file is exported once and cached. Its
    features are compared with those of PyTorch on ``example``. In all other cases, PyTorch runs
    the network channels-last. A GPU computes in bf16 if it can. A CPU never does: its features
    would be up to 7 % of the largest one apart from those of CPUs without bf16
    (``results/pretrained/engines.json``), so a learner that moves there could predict other
    classes.

    Args:
        network: from N x C x H x W float32 to one tensor.
        example: at least two rows of input.
        key: names the cached file. It stands for the weights and the size of the input.
    """
    plain = Eager(network)
    if example.device.type != "cpu":
        return plain
    try:
        runtime = _exported(network, example, key)
        expected, found = plain(example), runtime(example)
    except Exception:  # an operator without a translation, a library without a part, a full disk
        return plain
    gap = float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
    return runtime if gap < AGREED else plain


def uses_bf16(device: torch.device) -> bool:
    """Return whether a frozen network runs in bf16 on a device."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


class Eager:
    """A network run by PyTorch."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=uses_bf16(x.device)):
            return self.network(x).float()


class Runtime:
    """A network run by onnxruntime, with as many threads as PyTorch."""

    def __init__(self, path: Path) -> None:
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(str(path), options, providers=providers)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self.session.run(None, {"x": x.contiguous().numpy()})[0])


def _exported(network: nn.Module, example: Tensor, key: str) -> Runtime:
    """Return a network's ONNX file, exported and cached where it is not there."""
    import onnxruntime  # noqa: F401, PLC0415

    path = cache_folder() / f"backbone-{key}.onnx"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        program = onnx_program(network, example, "x", "features")
        write_atomic(path, lambda draft: program.save(draft, external_data=False))
    return Runtime(path)


def onnx_program(network: nn.Module, example: Tensor, given: str, returned: str) -> Any:
    """Return the ONNX program of a network, for any number of rows up to 4096.

    Args:
        network: in evaluation mode, from one tensor to one tensor.
        example: at least two rows of input.
        given, returned: names of input and output.
    """
    batch = torch.export.Dim("batch", min=1, max=4096)
    with quiet():
        program = torch.onnx.export(
            network,
            (example[:2],),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            input_names=[given],
            output_names=[returned],
            verbose=False,
        )
    if program is None:
        raise UserError("the network cannot be exported")
    return program


@contextmanager
def quiet() -> Iterator[None]:
    """Silence libraries' warnings inside, because what they return is checked."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
