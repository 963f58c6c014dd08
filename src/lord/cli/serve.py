"""``lord serve``: a learner that answers HTTP requests."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from lord.cli.console import say
from lord.cli.flags import Switch, checked
from lord.config import UserError, build, load_plugin
from lord.config.types import Count, Positive

EXAMPLES = """
lord serve memory
lord serve memory --port 9000 --threads 2
lord serve memory --host 0.0.0.0 --token-file token
"""
PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "python_multipart")


def serve(
    state: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, checked(Annotated[int, Meta(ge=0, le=65535)])] = 8000,
    token_file: Path | None = None,
    threads: Annotated[int, checked(Count)] = 1,
    max_megabytes: Annotated[float | None, checked(Positive)] = None,
    max_megapixels: Annotated[float | None, checked(Annotated[float, Meta(gt=0, le=89)])] = None,
    max_images: Annotated[int | None, checked(Count)] = None,
    max_seconds: Annotated[float | None, checked(Positive)] = None,
    max_requests: Annotated[int | None, checked(Count)] = None,
    verbose: Switch = False,
    plugin: Path | None = None,
) -> None:
    """Answer HTTP requests with a learner: predictions, health and metrics.

    When a session of 'lord learn' ends, the new learner is read, and answers from then on. SIGTERM
    stops the server after the requests that it has accepted.

    Parameters
    ----------
    state
        Folder of the learner.
    host
        Address to listen at. One that other machines can reach needs a token.
    port
        TCP port; 0 for any that is free.
    token_file
        File with the token that clients send, as 'Authorization: Bearer TOKEN'. The environment
        variable LORD_TOKEN may hold it instead.
    threads
        CPU threads.
    max_megabytes
        Size of a request, at most; 20 by default.
    max_megapixels
        Size of an image, at most, in millions of pixels; 50 by default.
    max_images
        Images in a request, at most; 64 by default.
    max_seconds
        Time for a request, at most; 30 by default.
    max_requests
        Predictions under way or waiting, at most; 32 by default. Others get the status 503.
    verbose
        Print a line for each request.
    plugin
        Python file that registers methods or networks.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        hint = "pip install 'lord-cl[serve]'"
        raise UserError(f"the server needs {missing[0].replace('_', '-')}", hint=hint)
    from lord.serving.limits import Limits, read_token
    from lord.serving.server import serve as run

    token = read_token(token_file)
    if plugin:
        load_plugin(plugin)
    given = {
        "megabytes": max_megabytes,
        "megapixels": max_megapixels,
        "images": max_images,
        "seconds": max_seconds,
        "requests": max_requests,
    }
    limits = build(Limits, {name: value for name, value in given.items() if value is not None})
    run(
        state,
        host=host,
        port=port,
        token=token,
        threads=threads,
        limits=limits,
        verbose=verbose,
        report=say,
    )
