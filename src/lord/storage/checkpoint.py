"""State on disk: plain values and tensors in one safetensors file, whole or refused."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lord.config import UserError, first_line
from lord.storage.files import write_atomic

FORMAT = 4
Packed = dict[str, Any]


class UnreadableError(UserError):
    """A state that may be whole, and cannot be looked at."""


def save_state(state: Any, path: Path) -> None:
    """Write a state, nested of dicts, lists, tuples, plain values and tensors.

    The state before it is kept beside it until the next one: whenever the process is killed, one
    of them is whole. The order of a tensor's memory is kept too, as results may depend on it to
    the bit.

    Raises:
        UserError: if it cannot be written.
        TypeError: for what is neither plain nor a tensor.
    """
    tensors: dict[str, Tensor] = {}
    known: dict[tuple[Any, ...], str] = {}
    text = json.dumps({"format": FORMAT, "state": _pack(state, tensors, known)})
    header = {"lord": text, "digest": _digest(text, tensors)}
    try:
        write_atomic(path, lambda draft: save_file(tensors, draft, header), keep=previous(path))
    except (OSError, SafetensorError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot write the checkpoint '{path}': {said}") from None


def load_state(path: Path) -> tuple[Any, str | None]:
    """The last whole state, and what is to be said of it if that is not the last one written.

    Nothing in a file is executed.

    Raises:
        UserError: if there is no whole state.
    """
    problems = []
    for file in (path, previous(path)):
        try:
            state = _read(file)
        except FileNotFoundError:
            continue
        except UnreadableError:
            raise
        except UserError as error:
            problems.append(str(error))
        else:
            note = f"{problems[0]}; going on from the one before it" if problems else None
            return state, note
    if problems:
        raise UserError("; ".join(problems))
    raise UserError(f"no checkpoint at '{path}'")


def previous(path: Path) -> Path:
    """Where the state before the last one is."""
    return path.with_name(f"{path.stem}-before{path.suffix}")


def own_file(path: Path) -> Path:
    """``path``, if writing a state there costs nobody anything else.

    Raises:
        UserError: if there is a folder, or a file that is no state, or one beside it that would go.
    """
    if path.is_dir():
        raise UserError(f"'{path}' is a folder: name a file")
    for file in (path, previous(path)):
        if file.exists() and not _ours(file):
            raise UserError(f"'{file}' exists and is no state of a learner: name another file")
    if not path.parent.is_dir():
        raise UserError(f"cannot write '{path}': no folder '{path.parent}'")
    return path


def _ours(file: Path) -> bool:
    try:
        with safe_open(file, framework="pt") as opened:
            return {"lord", "digest"} <= (opened.metadata() or {}).keys()
    except (SafetensorError, OSError):
        return False


def has_state(path: Path) -> bool:
    """Whether a state was saved at ``path``."""
    return path.exists() or previous(path).exists()


def remove_state(path: Path) -> None:
    """Remove the state at ``path``, and the one before it."""
    path.unlink(missing_ok=True)
    previous(path).unlink(missing_ok=True)


def _read(file: Path) -> Any:
    if not file.is_file():
        raise FileNotFoundError(file)
    try:
        file.open("rb").close()
    except OSError as error:  # it may be whole: nothing goes on without it
        raise UnreadableError(f"cannot read the checkpoint '{file}': {error.strerror}") from None
    try:
        with safe_open(file, framework="pt") as opened:
            header = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        text = header["lord"]
        if header["digest"] != _digest(text, tensors):
            raise ValueError("its checksum is wrong")
        content = json.loads(text)
        if content["format"] != FORMAT:
            has = f"it has format {content['format']}, known: {FORMAT}"
            raise UserError(f"the checkpoint '{file}' is another version's: {has}")
        return _unpack(content["state"], tensors)
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        said = first_line(error)
        raise UserError(f"the checkpoint '{file}' is damaged: {said}") from None


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(text.encode())
    for name in sorted(tensors):
        own = tensors[name]
        digest.update(f"{name} {own.dtype} {tuple(own.shape)}".encode())
        if own.numel():
            digest.update(own.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _pack(value: Any, tensors: dict[str, Tensor], known: dict[tuple[Any, ...], str]) -> Packed:
    if isinstance(value, Tensor):
        return _pack_tensor(value.detach(), tensors, known)
    if isinstance(value, Mapping):
        pairs = [[key, _pack(own, tensors, known)] for key, own in value.items()]
        if not all(isinstance(key, str | int) for key, _ in pairs):
            raise TypeError("a state's names are text or whole numbers")
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_pack(own, tensors, known) for own in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise TypeError(f"a state holds plain values and tensors, not {type(value).__name__}")


def _pack_tensor(
    tensor: Tensor, tensors: dict[str, Tensor], known: dict[tuple[Any, ...], str]
) -> Packed:
    # The same memory under two names is written once.
    key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, str(tensor.device))
    last = tensor.dim() == 4 and not tensor.is_contiguous()
    last = last and tensor.is_contiguous(memory_format=torch.channels_last)
    if not tensor.numel() or key not in known:
        known[key] = str(len(tensors))
        own = tensor.permute(0, 2, 3, 1) if last else tensor
        tensors[known[key]] = own.cpu().clone(memory_format=torch.contiguous_format)
    return {"tensor": known[key], "last": last}


def _unpack(packed: Packed, tensors: Mapping[str, Tensor]) -> Any:
    ((kind, value),) = [item for item in packed.items() if item[0] != "last"]
    if kind == "tensor":
        return tensors[value].permute(0, 3, 1, 2) if packed["last"] else tensors[value]
    if kind == "dict":
        return {key: _unpack(own, tensors) for key, own in value}
    if kind == "list":
        return [_unpack(own, tensors) for own in value]
    if kind == "tuple":
        return tuple(_unpack(own, tensors) for own in value)
    if kind == "value":
        return value
    raise ValueError(f"unknown kind of value '{kind}'")
