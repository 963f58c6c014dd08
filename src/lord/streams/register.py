"""Streams of plug-ins: a name, a function that loads the images, and settings of training."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from lord.config import UserError, note_owner, seeded
from lord.data import LOADERS, ImageData
from lord.streams.in_memory import as_images
from lord.streams.presets import BUILT_IN_PRESETS, PRESETS, Protocol


def register_stream(
    name: str,
    load: Callable[[], object],
    *,
    tasks: int,
    settings: Mapping[str, int | float | str] | None = None,
    about: str = "",
    crop: int = 4,
    flip: bool = True,
) -> None:
    """Register a stream as a preset, which commands take with the plug-in that registers it.

    >>> from lord.data import DataConfig, load_images
    >>> register_stream("my-digits", lambda: load_images(DataConfig()), tasks=5,
    ...     settings={"scenario": "classes", "network": "cnn"})
    >>> PRESETS["my-digits"].settings["data"]
    'my-digits'
    >>> del PRESETS["my-digits"], LOADERS["my-digits"]

    Args:
        name: name of the preset, and value of the setting `data`.
        load: returns what ``lord.images_by_task`` or ``lord.images`` made, a ``Stream``, or an
            Avalanche benchmark. Each process calls it once, so it must return the same each time.
        tasks: number of tasks.
        settings: further defaults of runs, in place of those of the preset 'images'. The scenario
            is 'given', so the images come with their tasks; 'classes' cuts them by class.
        about: one line about the stream.
        crop: padding of the random crop, in pixels.
        flip: whether half of the images are mirrored.

    Raises:
        UserError: if the name is that of another preset, or has a character with a meaning on the
            command line.
    """
    if not re.fullmatch(r"[^\s:,=./-][^\s:,=./]*", name) or name in (*BUILT_IN_PRESETS, "memory"):
        raise UserError(
            f"the stream name '{name}' is taken or not plain",
            field="plugin",
            allowed="a new name without spaces and : , = . /",
        )
    defaults = {**PRESETS["images"].settings, "data": name, "scenario": "given", "tasks": tasks}
    PRESETS[name] = Protocol(
        about=about or f"{tasks} tasks of a plug-in",
        settings={**defaults, **(settings or {})},
        crop=crop,
        flip=flip,
    )
    LOADERS[name] = lambda: _loaded(name, load)
    note_owner("stream", name)


def _loaded(name: str, load: Callable[[], object]) -> ImageData:
    with seeded("stream", 0):  # each process must load the same images
        data = as_images(load())
    return replace(data, kind=f"stream '{name}' of a plug-in", key=data.content)
