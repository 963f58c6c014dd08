"""Checkpoints: plain values and tensors in one safetensors file. A damaged file is not read."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lord.config import UserError, first_line
from lord.storage.files import link, write_atomic

FORMAT = 6
"""Version of the files that are written."""
READABLE = (4, 5, 6)
"""Versions of the files that can be read. Names in older states differ; the code that loads a state
translates them."""
Packed = dict[str, Any]


class UnreadableError(UserError):
    """A checkpoint that cannot be read although it may be whole. No older one must replace it."""


def save_state(state: Any, path: Path, *, before: bool = True) -> None:
    """Write a state: nested dicts, lists, tuples, plain values and tensors.

    The previous checkpoint stays in the same folder. So at least one of the two is whole if the
    process is killed at any moment. A tensor's memory order is kept too, because the last
    bits of results may depend on it.

    Raises:
        UserError: if it cannot be written.
        TypeError: for a value of another type.
    """
    tensors: dict[str, Tensor] = {}
    known: dict[tuple[Any, ...], str] = {}
    text = json.dumps({"format": FORMAT, "state": _pack(state, tensors, known)})
    header = {"lord": text, "digest": _digest(text, tensors)}
    try:
        if not before and _is_whole(path):
            previous(path).unlink(missing_ok=True)
        # A damaged checkpoint must not replace the whole one before it.
        kept = before and (not previous(path).exists() or _is_whole(path))
        keep = previous(path) if kept else None
        write_atomic(path, lambda draft: save_file(tensors, draft, header), keep=keep)
        if not before:
            previous(path).unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot write the checkpoint '{path}': {reason}") from None


def load_state(path: Path) -> tuple[Any, str | None]:
    """Read the last whole checkpoint.

    Reading a file executes no code from it.

    Returns:
        The state; and a note if an older checkpoint was read because the last one is damaged,
        else None.

    Raises:
        UserError: if no checkpoint is whole, or a newer version wrote the last one.
    """
    _, state, note = _last_whole(path)
    return state, note


def link_state(path: Path, name: Path) -> None:
    """Give the last whole checkpoint at ``path`` a second name, under which it stays.

    Raises:
        UserError: if no checkpoint is whole, or its folder cannot be written.
    """
    file, _, _ = _last_whole(path)
    try:
        link(file, name)
    except OSError as error:
        raise UserError(f"cannot write the checkpoint '{name}': {error.strerror}") from None


def _is_whole(path: Path) -> bool:
    with suppress(FileNotFoundError, UserError):
        _read(path)
        return True
    return False


def _last_whole(path: Path) -> tuple[Path, Any, str | None]:
    """Return the file of the last whole checkpoint, its state, and a note if it is an older one."""
    problems = []
    for file in (path, previous(path)):
        try:
            state = _read_settled(file)
        except FileNotFoundError:
            continue
        except UnreadableError:
            raise
        except UserError as error:
            problems.append(str(error))
        else:
            note = f"{problems[0]}; the checkpoint before it was read instead" if problems else None
            return file, state, note
    if problems:
        raise UserError("; ".join(problems))
    raise UserError(f"there is no checkpoint at '{path}'")


def _read_settled(file: Path) -> Any:
    """Read a checkpoint. Read it again if another process replaced it meanwhile."""
    while True:
        before = file.stat()
        try:
            return _read(file)
        except UnreadableError:
            raise
        except UserError:
            after = file.stat()
            if (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns):
                raise


def digest_of(file: Path) -> str:
    """Return the checksum that a checkpoint carries. Only the file's header is read.

    Raises:
        UserError: if it is not a checkpoint.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            return str((opened.metadata() or {})["digest"])
    except (SafetensorError, OSError, KeyError) as error:
        raise UserError(f"'{file}' is not a checkpoint: {first_line(error)}") from None


def previous(path: Path) -> Path:
    """Return the path of the checkpoint before the last one at ``path``."""
    return path.with_name(f"{path.stem}-before{path.suffix}")


def checked_target(path: Path) -> Path:
    """Return ``path`` if a checkpoint may be written there.

    Raises:
        UserError: if it is a folder, or if a file that is not a checkpoint would be replaced.
    """
    if path.is_dir():
        raise UserError("is a folder", field="path", given=path, allowed="a file")
    for file in (path, previous(path)):
        if file.exists() and not _is_checkpoint(file):
            raise UserError(
                f"'{file}' exists and is not a checkpoint", field="path", hint="name another file"
            )
    if not path.parent.is_dir():
        what = f"is in '{path.parent}', which is not a folder"
        raise UserError(what, field="path", given=path)
    return path


def _is_checkpoint(file: Path) -> bool:
    try:
        with safe_open(file, framework="pt") as opened:
            return {"lord", "digest"} <= (opened.metadata() or {}).keys()
    except (SafetensorError, OSError):
        return False


def has_state(path: Path) -> bool:
    """Return whether there is a checkpoint at ``path``."""
    return path.exists() or previous(path).exists()


def remove_state(path: Path) -> None:
    """Remove the checkpoint at ``path``, and the one before it."""
    path.unlink(missing_ok=True)
    previous(path).unlink(missing_ok=True)


def _read(file: Path) -> Any:
    if not file.is_file():
        raise FileNotFoundError(file)
    try:
        file.open("rb").close()
    except OSError as error:  # it may be whole, so an older one must not replace it
        raise UnreadableError(f"cannot read the checkpoint '{file}': {error.strerror}") from None
    try:
        with safe_open(file, framework="pt") as opened:
            header = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        if not header.keys() >= {"lord", "digest"}:
            raise UserError(f"the checkpoint '{file}' is damaged, or is none of this package")
        text = header["lord"]
        if header["digest"] != _digest(text, tensors):
            raise ValueError("its checksum does not match")
        content = json.loads(text)
        _check_format(content["format"], file)
        return _unpack(content["state"], tensors)
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"the checkpoint '{file}' is damaged: {first_line(error)}") from None


def _check_format(found: int, file: Path) -> None:
    """Check that this version reads a format.

    Raises:
        UnreadableError: if a newer version wrote the file.
        UserError: if the format is too old.
    """
    if found > FORMAT:
        raise UnreadableError(
            f"a newer version of lord-cl wrote '{file}', in format {found}",
            allowed=f"format {FORMAT} or older",
            hint="upgrade lord-cl",
        )
    if found not in READABLE:
        known = ", ".join(map(str, READABLE))
        raise UserError(f"the checkpoint '{file}' has format {found}; this version reads {known}")


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _pack(value: Any, tensors: dict[str, Tensor], known: dict[tuple[Any, ...], str]) -> Packed:
    if isinstance(value, Tensor):
        return _pack_tensor(value.detach(), tensors, known)
    if isinstance(value, Mapping):
        pairs = [[key, _pack(part, tensors, known)] for key, part in value.items()]
        if not all(isinstance(key, str | int) for key, _ in pairs):
            raise TypeError("names in a state are text or integers")
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_pack(part, tensors, known) for part in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise TypeError(f"a state holds plain values and tensors, not {type(value).__name__}")


def _pack_tensor(
    tensor: Tensor, tensors: dict[str, Tensor], known: dict[tuple[Any, ...], str]
) -> Packed:
    # Memory that has two names is written once.
    key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, str(tensor.device))
    last = tensor.dim() == 4 and not tensor.is_contiguous()
    last = last and tensor.is_contiguous(memory_format=torch.channels_last)
    if not tensor.numel() or key not in known:
        known[key] = str(len(tensors))
        plain = tensor.permute(0, 2, 3, 1) if last else tensor
        tensors[known[key]] = plain.cpu().clone(memory_format=torch.contiguous_format)
    return {"tensor": known[key], "last": last}


def _unpack(packed: Packed, tensors: Mapping[str, Tensor]) -> Any:
    ((kind, value),) = [item for item in packed.items() if item[0] != "last"]
    if kind == "tensor":
        return tensors[value].permute(0, 3, 1, 2) if packed["last"] else tensors[value]
    if kind == "dict":
        return {key: _unpack(part, tensors) for key, part in value}
    if kind == "list":
        return [_unpack(part, tensors) for part in value]
    if kind == "tuple":
        return tuple(_unpack(part, tensors) for part in value)
    if kind == "value":
        return value
    raise ValueError(f"unknown kind of value '{kind}'")
