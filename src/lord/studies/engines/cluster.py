"""A connection to a Ray cluster. Without an address, a cluster is started on this machine."""

import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from lord.config import UserError
from lord.studies.engines.local import cores

SOCKET_PATH_ROOM = 30
"""Most letters in a temporary folder's name. Longer paths exceed the limit of Ray's sockets."""


@contextmanager
def connected(address: str | None) -> Iterator[tuple[ModuleType, bool]]:
    """Connect to a cluster inside the block; yield Ray, and whether the cluster was started here.

    A cluster that was started here is shut down at the end. If this program is already connected
    to a cluster, that connection is used and left open.

    Raises:
        UserError: if Ray is not installed, or no cluster answers at ``address``.
    """
    if address not in (None, "auto"):
        _check_address(str(address))
    ray = _import_ray(start=address is None)
    if ray.is_initialized():
        yield ray, False
        return
    folder = _temporary_folder() if address is None else None
    try:
        _connect(ray, address, folder)
        yield ray, address is None
    except ray.exceptions.RayError as error:
        raise UserError(
            f"the Ray cluster was lost: {one_line(error)}", hint="start the study again to continue"
        ) from None
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _connect(ray: ModuleType, address: str | None, folder: str | None) -> None:
    """Connect to the cluster at ``address``, or start one with its files in ``folder``."""
    options: dict[str, object] = {"address": address}
    if folder is not None:
        options = {"address": "local", "num_cpus": cores(), "_temp_dir": folder}
        options |= {"include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        if address is None:
            raise UserError(f"Ray did not start: {one_line(error)}") from None
        raise UserError(
            f"is not a Ray cluster: {one_line(error)}", field="address", given=address
        ) from None


def _check_address(address: str) -> None:
    """Check that a server listens at an address. Ray itself would try for minutes.

    Raises:
        UserError: if the address has another form, or refuses connections.
    """
    client = "start the study on a node of the cluster" if "://" in address else None
    host, _, port = address.rpartition(":")
    if client or not (host and port.isdigit() and int(port) < 2**16):
        raise UserError(field="address", given=address, allowed="HOST:PORT or auto", hint=client)
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise UserError(
            f"is not a Ray cluster: {error.strerror or error}", field="address", given=address
        ) from None


def _import_ray(*, start: bool) -> ModuleType:
    """Set the environment variables that Ray reads when it is imported, and import it.

    Args:
        start: whether a cluster will be started on this machine.

    Raises:
        UserError: if Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if start and "ray" not in sys.modules and not os.environ.get("RAY_AUTH_MODE"):
        # Without a token, everybody who can reach a cluster can run programs on it. Ray would write
        # a token to a file. Only the processes of the cluster started here know this token.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        return import_module("ray")
    except ImportError:
        raise UserError(
            "needs Ray, which is not installed",
            field="engine",
            given="ray",
            hint="pip install 'lord-cl[ray]'",
        ) from None


def _temporary_folder() -> str:
    """Make a folder for Ray's files. A socket's path may have about a hundred letters."""
    place = tempfile.gettempdir()
    return tempfile.mkdtemp(
        prefix="lord-ray-", dir=place if len(place) < SOCKET_PATH_ROOM else "/tmp"
    )


def one_line(error: BaseException) -> str:
    """Return the cause of a Ray error in one line: its type, and the first line of its text."""
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines()
    if isinstance(cause, UserError) and lines:
        return lines[0]
    return ": ".join([type(cause).__name__, *lines[:1]])
