"""Serve the page on this machine while runs are in progress."""

import hashlib
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lord.config import UserError
from lord.reporting.html.gather import gather
from lord.reporting.html.write import encoded, render

HOST = "127.0.0.1"


def watch(folder: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve the page of a folder until interrupted.

    Args:
        folder: the folder with the runs.
        port: port to listen on; 0 for any free port.
        say: called with lines of text: the address, and a last one at the end.

    Raises:
        UserError: if the folder does not exist, or the port cannot be used.
    """
    gather(folder)  # an error appears here, before the address is shown
    try:
        server = Server(folder, port)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None)
        allowed = None if why else "an integer from 0 to 65535"
        problem = f"cannot be used: {why}" if why else ""
        raise UserError(problem, field="port", given=port, allowed=allowed) from None
    with server:
        say(f"http://{HOST}:{server.server_port}/  (stop with Ctrl-C)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped")


class Server(ThreadingHTTPServer):
    """HTTP server that answers only requests to its address."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        super().__init__((HOST, port), Handler)

    @property
    def names(self) -> tuple[str, ...]:
        """Values of the Host header that are answered; others may come from DNS rebinding."""
        return f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers with the page, and with new data for an open page."""

    server: Server

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.names:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "unknown host name")
        elif self.path not in ("/", "/data.json"):
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            try:
                data = encoded(gather(self.server.folder))
            except UserError as error:
                self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain=str(error))
                return
            if self.path == "/":
                self._answer(render(data, live=True).encode(), "text/html; charset=utf-8")
            else:
                self._answer(data.encode(), "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        same = self.headers.get("If-None-Match") == tag
        self.send_response(HTTPStatus.NOT_MODIFIED if same else HTTPStatus.OK)
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Type", kind)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", "0" if same else str(len(body)))
        self.end_headers()
        if not same:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no log, because an open page sends a request every two seconds."""
