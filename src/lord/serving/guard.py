"""What every request passes: the token, limits on size, time and number, counters and log."""

import asyncio
import secrets
import time
import traceback
from collections.abc import Callable
from datetime import datetime

from fastapi import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lord.serving.limits import Limits
from lord.serving.metrics import Metrics

OPEN = "/health"
"""Path that needs no token."""
WORK = "/predict"
"""Path with a limit on its number of requests."""
RETRY = {"Retry-After": "1"}
GONE = 499
"""Status in log and metrics of a request after its client has gone. It is never sent."""


def refusal(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer that names the problem as JSON."""
    return JSONResponse({"detail": text}, status, headers)


class Guard:
    """Passes requests to an application, and answers those that it may not get.

    Args:
        app: the application.
        limits: limits on size, time and number.
        metrics: where requests are counted.
        token: what a client must send; None for no token.
        paths: paths that are counted by their name.
        log: receives a line for each request; None for no log.
        report: receives the traceback of a defect.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        metrics: Metrics,
        token: str | None,
        paths: frozenset[str],
        log: Callable[[str], None] | None,
        report: Callable[[str], None],
    ) -> None:
        self.app, self.limits, self.metrics, self.token = app, limits, metrics, token
        self.paths, self.log, self.report = paths, log, report
        self.busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        visit = _Visit(receive, send, int(1e6 * self.limits.megabytes))
        work = scope["path"] == WORK
        refused = self._refused(scope, work)
        if work and refused is None:
            self.busy += 1
            self.metrics.busy.inc()
        try:
            await self._answer(scope, visit, refused)
        finally:
            if work and refused is None:
                self.busy -= 1
                self.metrics.busy.dec()
            self._note(scope, visit.status or GONE, time.perf_counter() - start)

    async def _answer(self, scope: Scope, visit: "_Visit", refused: JSONResponse | None) -> None:
        try:
            async with asyncio.timeout(self.limits.seconds):
                await (refused or self.app)(scope, visit.receive, visit.send)
        except TimeoutError:
            seconds = f"{self.limits.seconds:g} seconds"
            late = refusal(408, f"the request was not complete within {seconds}")
            if visit.whole:
                late = refusal(503, f"there was no answer within {seconds}", RETRY)
            await visit.last(scope, late)
        except ClientDisconnect:
            return
        except Exception:
            self.report(traceback.format_exc())
            await visit.last(scope, refusal(500, "this is a defect of the server"))

    def _refused(self, scope: Scope, work: bool) -> JSONResponse | None:
        """Return the answer to a request that is refused for its headers."""
        headers = dict(scope["headers"])
        if self.token and scope["path"] != OPEN:
            given = headers.get(b"authorization", b"")
            if not secrets.compare_digest(given, f"Bearer {self.token}".encode()):
                text = "the header 'Authorization: Bearer TOKEN' is missing or wrong"
                return refusal(401, text, {"WWW-Authenticate": "Bearer"})
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > 1e6 * self.limits.megabytes:
            return refusal(413, f"the body is larger than {self.limits.megabytes:g} MB")
        if work and self.busy >= self.limits.requests:
            return refusal(503, f"{self.busy} requests are waiting", RETRY)
        return None

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"] if scope["path"] in self.paths else "other"
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
        self.metrics.requests.labels(path, method, status).inc()
        self.metrics.seconds.labels(path).observe(seconds)
        if self.log:
            client = (scope.get("client") or ("-",))[0]
            now = datetime.now().astimezone().isoformat(timespec="milliseconds")
            self.log(f"{now} {client} {method} {path} {status} {1e3 * seconds:.1f} ms")


class _Visit:
    """One request on its way: how much of it has come, and the status of its answer."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self.most = receive, send, most
        self.bytes, self.whole, self.status = 0, False, 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes += len(message.get("body", b""))
        self.whole = self.whole or not message.get("more_body", False)
        if self.bytes > self.most:
            raise HTTPException(413, f"the body is larger than {self.most / 1e6:g} MB")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def last(self, scope: Scope, answer: JSONResponse) -> None:
        """Send an answer, unless one has begun."""
        if not self.status:
            await answer(scope, self._receive, self.send)
