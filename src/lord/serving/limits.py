"""What a server accepts at most, and who may ask."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from lord.config import Config, UserError
from lord.config.types import Count, Positive

TOKEN = "LORD_TOKEN"
"""Environment variable with the token. The list of processes does not show it."""
SHORTEST = 16
"""Characters of a token, at least."""


class Limits(Config, frozen=True):
    """What a server accepts at most."""

    megabytes: Positive = 20.0
    """Size of a request."""
    megapixels: Annotated[float, Meta(gt=0, le=89)] = 50.0
    """Size of an image, decoded."""
    images: Count = 64
    """Images in a request."""
    seconds: Positive = 30.0
    """Time for a request, from its first byte to its answer."""
    requests: Count = 32
    """Predictions under way or waiting. Further ones are answered with 503."""


def read_token(file: Path | None) -> str | None:
    """Return the token that a file or the environment holds; None if neither does.

    Raises:
        UserError: if the file cannot be read, or for a token that is too short or has other
            characters than printable ASCII without spaces.
    """
    where, text = f"the environment variable {TOKEN}", os.environ.get(TOKEN)
    if file is not None:
        where = f"'{file}'"
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise UserError(f"cannot read '{file}': {reason}", field="token_file") from None
    if text is None:
        return None
    token = text.strip()
    if len(token) < SHORTEST or not (token.isascii() and token.isprintable()) or " " in token:
        raise UserError(
            f"{where} holds no usable token",
            allowed=f"at least {SHORTEST} printable ASCII characters without spaces",
            hint="make one with: openssl rand -hex 32",
        )
    return token


def check_address(host: str, token: str | None) -> None:
    """Check that only this machine can reach an address, or that a token protects it.

    >>> check_address("127.0.0.1", None), check_address("0.0.0.0", "0123456789abcdef")
    (None, None)

    Raises:
        UserError: if not.
    """
    if token is None and not _is_loopback(host):
        raise UserError(
            "can be reached from other machines, and no token protects it",
            field="host",
            given=host,
            hint=f"set `token_file` or the environment variable {TOKEN}, or use 127.0.0.1",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
