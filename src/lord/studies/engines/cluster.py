"""A connection to a Ray cluster, one started here where no other is named."""

import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from lord.config import UserError
from lord.studies.engines.local import cores


@contextmanager
def connected(address: str | None) -> Iterator[tuple[Any, bool]]:
    """Ray, connected, and whether it was started here; if so, it is shut down in the end. Where a
    program is connected already, that is left as it is."""
    if address is not None and "://" in address:
        raise UserError(
            f"address: expected HOST:PORT or auto, got '{address}': start the study on a node of "
            "the cluster"
        )
    if address is not None and address != "auto":
        _reach(address)
    library = _library(start=address is None)
    if library.is_initialized():
        yield library, False
        return
    place = None
    options: dict[str, Any] = {"address": address}
    if address is None:
        place = tempfile.mkdtemp(prefix="lord-ray-", dir=_short_folder())
        options = {"address": "local", "num_cpus": cores(), "_temp_dir": place}
        options |= {"include_dashboard": False}
    try:
        try:
            library.init(log_to_driver=False, logging_level="ERROR", **options)
        except (OSError, ValueError, RuntimeError, library.exceptions.RayError) as error:
            where = f"no Ray cluster at '{address}'" if address else "Ray did not start"
            raise UserError(f"{where}: {one_line(error)}") from None
        yield library, address is None
    except library.exceptions.RayError as error:
        said = one_line(error)
        raise UserError(f"the Ray cluster was lost: {said}; the same command goes on") from None
    finally:
        library.shutdown()
        if place:
            shutil.rmtree(place, ignore_errors=True)


def _reach(address: str) -> None:
    """Complain at once where nobody listens: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit() and int(port) < 2**16):
        raise UserError(f"address: expected HOST:PORT or auto, got '{address}'")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        said = error.strerror or error
        raise UserError(f"no Ray cluster at '{address}': {said}") from None


def _library(start: bool) -> Any:
    """Ray, imported; what it reads of the environment at import is set first.

    Args:
        start: whether a cluster is to be started here.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if start and "ray" not in sys.modules and not os.environ.get("RAY_AUTH_MODE"):
        # Whoever reaches a cluster without a token may run anything on it, and Ray would leave its
        # token in a file. One that only its processes have is for a cluster started here.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        return import_module("ray")
    except ImportError:
        raise UserError("engine: ray is not installed: pip install 'lord-cl[ray]'") from None


def _short_folder() -> str:
    """For temporary files: the paths of sockets in it may have about a hundred letters."""
    return tempfile.gettempdir() if len(tempfile.gettempdir()) < 30 else "/tmp"


def one_line(error: BaseException) -> str:
    cause = getattr(error, "cause", None) or error
    said = str(cause).strip().splitlines()
    return (
        said[0]
        if isinstance(cause, UserError) and said
        else type(cause).__name__ + (f": {said[0]}" if said else "")
    )
