"""Put images that a program gives into configurations."""

from collections.abc import Sequence

import msgspec

from lord.config import UserError
from lord.data import MEMORY
from lord.streams import given_settings
from lord.training.config import RunConfig


def with_images(
    configs: Sequence[RunConfig], images: object = None, stream: object = None
) -> list[RunConfig]:
    """Return configurations of runs that learn the given images. They are stored in the cache.

    Args:
        configs: made by ``compose`` with the data "memory".
        images: a data set that the configurations cut into tasks; None if there is a stream.
        stream: tasks in memory; None if there are images. They replace the scenario.

    Raises:
        UserError: if a configuration has other images or a split, or the images do not fit.
    """
    if images is None and stream is None:
        return list(configs)
    settings, field = given_settings(images, stream), "stream" if images is None else "images"
    name = str(settings["data"])
    return [_with(config, field, name, settings.get("tasks")) for config in configs]


def _with(config: RunConfig, field: str, name: str, tasks: int | str | None) -> RunConfig:
    if config.data.data not in (MEMORY, name):
        raise UserError(
            f"cannot be combined with `{field}`",
            field="data",
            given=config.data.data,
            allowed=f"'{MEMORY}' in lord.compose, as in lord.compose('er', {{'data': '{MEMORY}'}})",
        )
    data = msgspec.structs.replace(config.data, data=name)
    if tasks is None:
        return msgspec.structs.replace(config, data=data)
    if config.stream.split is not None or config.stream.scenario not in ("classes", "given"):
        raise UserError(
            "cannot be combined with `stream`, which says the tasks",
            field="scenario" if config.stream.split is None else "split",
            hint="leave it out",
        )
    cut = msgspec.structs.replace(config.stream, scenario="given", tasks=int(tasks))
    return msgspec.structs.replace(config, data=data, stream=cut)
