"""``lord watch``: learn the pictures that arrive in a folder."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

from lord.cli.console import say
from lord.cli.flags import Switch, checked
from lord.cli.learner import warnings_printed
from lord.cli.naming import as_flags
from lord.config import UserError, load_plugin
from lord.config.types import Count, Positive

EXAMPLES = """
lord watch photos/inbox --state memory
lord watch photos/inbox --state memory --every 86400 --count 50
lord watch photos/inbox --state memory --once
"""
ELSEWHERE = {name: f"'lord learn --{name}'" for name in ("abandon", "tolerance")}
"""Arguments in Python that have no flag here, and the commands that have it."""


def watch(
    folder: Path,
    /,
    *,
    state: Path,
    every: Annotated[float, checked(Positive)] = 60.0,
    count: Annotated[int | None, checked(Count)] = None,
    once: Switch = False,
    new_classes: bool | None = None,
    plugin: Path | None = None,
) -> None:
    """Learn the pictures that arrive in a folder, session after session.

    Only new pictures are learned. Files that are still being written wait for the next session. A
    refused session is reported, and is not tried again until the folder changes. SIGTERM and
    Ctrl-C stop the watch; a session that runs then continues at the next start.

    Parameters
    ----------
    folder
        Images by class: FOLDER/CLASS/*.jpg. More of them arrive.
    state
        Folder of the learner. If there is none, it is made as 'lord learn' makes it without flags.
    every
        Seconds between looks. A look learns new pictures.
    count
        Learn as soon as this many pictures are new, without waiting for the next look.
    once
        Look once, learn new pictures, and end with an exit code as of 'lord learn'. For cron.
    new_classes
        Accept every new class, or none. By default, a name that may be a known one spelled
        differently is refused.
    plugin
        Python file that registers methods or networks.
    """
    from lord.serving.watching import Watch

    if plugin:
        load_plugin(plugin)
    if not folder.is_dir():
        raise UserError("is not a folder", field="folder", given=folder)
    if state.resolve().is_relative_to(folder.resolve()):
        hint = "choose another"
        raise UserError("is in the folder of the images", field="state", given=state, hint=hint)
    watching = Watch(
        folder, state, every=every, count=count, new_classes=new_classes, report=_stamped
    )
    with warnings_printed():
        if once:
            watching.once()
            return
        _stamped(f"watching '{folder}' for '{state}'")
        with _stopped_by_signals():
            watching.run()
        _stamped("stopped")


def _stamped(text: str) -> None:
    """Print a line with the time, and settings as flags."""
    text = as_flags(text)
    say(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}")


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Inside, SIGTERM and SIGINT end the block. A process in the background may ignore SIGINT."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = signal.SIGTERM, signal.SIGINT
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
