"""The plan of a search: methods, settings, images and budget, checked before anything runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lord.config import UserError, Value, Variant, as_variant, convert, fields
from lord.config.types import Natural
from lord.data import DataConfig, ImageData
from lord.streams import StreamConfig, given_settings
from lord.studies.tune.space import Dimension, space_of
from lord.training.config import compose

HELD_OUT = 0.2
"""Default share of each class's training images that is held out and scored."""
TUNING_ONLY = ("stop_after", "validation", "skip")
"""Settings of the search that the best settings are used without."""
MEASURED = (*fields(DataConfig), *fields(StreamConfig))
"""Settings that change what is measured. They are the same for all methods."""
WRITTEN = ("trials.csv", "best.yaml", "tuning.json")
"""Files that a search writes."""

On = Literal["held-out", "test-stream"]
"""Which images are scored."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A search for the settings of some methods."""

    variants: dict[str, Variant]
    """The methods, by label."""
    spaces: dict[str, dict[str, Dimension]]
    """Label -> setting -> values to search."""
    given: dict[str, Value]
    """All other settings of the runs."""
    preset: str
    seed: int
    """Seed of the search, and of its runs if ``seeds`` has none."""
    seeds: tuple[int, ...] = ()
    """Seeds of the runs of each trial. Their mean accuracy is the trial's."""
    trials: int | None
    """Trials of each method."""
    flops: float | None
    """Training FLOPs of each method."""
    lasting: dict[str, Value]
    """The given settings that belong to the best settings too."""
    images: str
    """The scored images, in words."""


def make_plan(
    methods: Sequence[str | Variant],
    given: Mapping[str, Value],
    dimensions: Sequence[Dimension],
    *,
    preset: str | None = None,
    seed: int = 0,
    seeds: Sequence[int] = (),
    trials: int | None = None,
    flops: float | None = None,
    on: On = "held-out",
    images: ImageData | None = None,
    stream: object = None,
) -> Plan:
    """Check the arguments of a search, and divide its budget equally among the methods.

    Args:
        methods: names or variants. Each method occurs once.
        given: settings that are not searched.
        seed: seed of the search, and of its runs if ``seeds`` has none.
        seeds: seeds of the runs of each trial, whose mean accuracy is the trial's.
        trials, flops: the budget of the whole search. Exactly one of them is given.
        on: the scored images. After a search on the test images, accuracy on them is biased.
        images, stream: images or tasks in memory, as in ``lord.run``.

    Raises:
        UserError: names the argument, what was given and what is allowed.
    """
    variants = [as_variant("methods", method) for method in methods]
    names = [variant.method for variant in variants]
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"{name} is given twice", field="methods", hint="tune one variant of it at a time"
            )
    _check_same_images(variants, given)
    share_of_trials, share_of_flops = _divide(len(methods), trials, flops)
    given = {**given, **given_settings(images, stream)}
    settings = {"stop_after": 1, **given}
    stream = compose(variants[0], settings, preset=preset, beside=names).stream
    held_out, scored = _scored_images(stream, on, explicit="validation" in given)
    settings |= held_out
    return Plan(
        variants={variant.label: variant for variant in variants},
        spaces={
            variant.label: space_of(variant, dimensions, settings, preset, names)
            for variant in variants
        },
        given=settings,
        preset=compose(variants[0], settings, preset=preset, beside=names).preset,
        seed=seed,
        seeds=tuple(convert("seeds", each, Natural) for each in seeds),
        trials=share_of_trials,
        flops=share_of_flops,
        lasting={name: value for name, value in given.items() if name not in TUNING_ONLY},
        images=scored,
    )


def _check_same_images(variants: Sequence[Variant], given: Mapping[str, Value]) -> None:
    """Check that no setting of the images or the stream is for one method only.

    Raises:
        UserError: names the setting.
    """
    single = [name for name in given if "." in name]
    single += [f"{each.method}.{name}" for each in variants for name in each.settings]
    for name in single:
        setting = name.rpartition(".")[2]
        if setting in MEASURED:
            raise UserError(
                f"cannot be set for one method, as in '{name}': all score the same images",
                field=setting,
                hint=f"set `{setting}` for all methods",
            )


def _scored_images(stream: StreamConfig, on: On, *, explicit: bool) -> tuple[dict[str, Value], str]:
    """Return the settings that hold images out, and the scored images in words.

    Args:
        explicit: whether the user set the share of held-out images.
    """
    first = "task" if stream.stop_after == 1 else f"{stream.stop_after} tasks"
    if on == "test-stream":
        if stream.validation:
            raise UserError(
                "cannot be combined with `on` test-stream",
                field="validation",
                given=stream.validation,
                hint="leave one of them out",
            )
        return {}, f"the test images, of the first {first}"
    if explicit and not stream.validation:
        raise UserError(
            "holds no images out",
            field="validation",
            given=stream.validation,
            hint="set `on` to test-stream to score the test images",
        )
    settings: dict[str, Value] = {}
    if not stream.validation:
        room = 1 - stream.skip - HELD_OUT
        if room <= 0:
            allowed = f"at most {1 - HELD_OUT:g}, as {HELD_OUT:g} of the images are held out"
            raise UserError(field="skip", given=stream.skip, allowed=allowed)
        settings = {"validation": HELD_OUT, "subset": round(min(stream.subset, room), 6)}
    share = stream.validation or HELD_OUT
    images = f"held-out training images: the last {share:g} of each class"
    return settings, f"{images}, of the first {first}"


def _divide(
    methods: int, trials: int | None, flops: float | None
) -> tuple[int | None, float | None]:
    """Return the trials or the FLOPs of each method."""
    if (trials is None) == (flops is None):
        raise UserError("set either `trials` or `flops`", field="trials")
    if trials is not None:
        if trials < methods:
            allowed = f"an integer, at least {methods}: one for each method"
            raise UserError(field="trials", given=trials, allowed=allowed)
        return trials // methods, None
    assert flops is not None
    if not (math.isfinite(flops) and flops > 0):
        raise UserError(field="flops", given=flops, allowed="a finite number above 0, such as 1e13")
    return None, flops / methods
