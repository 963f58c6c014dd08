"""Run the HTTP API until the process is asked to stop."""

import asyncio
import logging
import math
import signal
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import uvicorn
from PIL import Image
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from lord.config import UserError
from lord.data.decode import register_heif
from lord.learner import holds_learner
from lord.serving.app import make_app
from lord.serving.limits import Limits, check_address
from lord.serving.reloading import Current

CONNECTIONS = 512
"""Connections at a time. Requests on further ones are answered with 503."""
IDLE = 5
"""Seconds for which a connection may wait for the next request."""


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    threads: int = 1,
    limits: Limits,
    verbose: bool = False,
    report: Callable[[str], None] = print,
) -> None:
    """Answer HTTP requests with the learner in a folder, until SIGTERM or SIGINT.

    Requests that were accepted by then are still answered.

    Args:
        folder: the learner's folder. When a session ends in it, the new learner answers.
        host: address to listen at.
        port: TCP port; 0 for any that is free.
        token: what clients must send; None for no token.
        threads: CPU threads of a prediction.
        limits: limits on size, time and number.
        verbose: report each request.
        report: receives lines of text.

    Raises:
        UserError: if there is no learner, it cannot be read, the address cannot be used, or other
            machines can reach it and there is no token.
    """
    check_address(host, token)
    if not holds_learner(folder):
        raise UserError(f"there is no learner in '{folder}'", hint="'lord learn' makes one")
    torch.set_num_threads(threads)
    register_heif()
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    listener = _listener(host, port)
    with listener:
        current = Current(folder, report)
        current.refresh()
        if current.problem:
            raise UserError(current.problem)
        if current.served is None:
            report("no session has ended yet; predictions get status 503 until the first one ends")
        log = report if verbose else None
        app = make_app(current, limits=limits, token=token, threads=threads, log=log, report=report)
        shown = f"[{host}]" if ":" in host else host
        report(f"listening at http://{shown}:{listener.getsockname()[1]}")
        with _stops_quietly():
            _server(app, limits).run([listener])
    report("stopped")


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UserError: if the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (while")[0]
        raise UserError(f"cannot listen at {host}, port {port}: {reason}") from None
    # Connections inherit it. Else the body of an answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    # Messages about malformed requests would let anybody fill the log.
    for name in ("uvicorn.error", "python_multipart"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _Protocol.seconds = limits.seconds
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=IDLE,
            timeout_graceful_shutdown=math.ceil(limits.seconds),
        )
    )


class _Protocol(H11Protocol):
    """HTTP on one connection. It is closed if a request's headers do not come in time."""

    seconds = 30.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Set the deadline while no request is under way, however many bytes arrive."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._unwatch()  # the application limits the time of a request
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self.transport.abort)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


@contextmanager
def _stops_quietly() -> Iterator[None]:
    """Inside, a signal that stopped the server does nothing when the server sends it again."""
    before = {
        each: signal.signal(each, lambda *_: None) for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
