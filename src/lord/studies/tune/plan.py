"""What is tuned, on which images, with what effort; settled before anything runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lord.config import UserError, parse_variant
from lord.studies.tune.space import Dimension, space_of
from lord.training.config import compose

HELD_OUT = 0.2
"""Share of each class's training images that is scored where none is given."""
APART = ("stop_after", "validation", "skip")
"""Settings of tuning only: the best ones are used without."""

WRITTEN = ("trials.csv", "best.yaml", "tuning.json")
"""Files a search leaves."""

On = Literal["held-out", "test-stream"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A search for the settings of some methods."""

    spaces: dict[str, dict[str, Dimension]]
    """Of each method as it was named, by setting."""
    given: dict[str, Any]
    """All other settings of its runs."""
    preset: str
    seed: int
    trials: int | None
    """Of each method."""
    flops: float | None
    """Training FLOPs of each method."""
    lasting: dict[str, Any]
    """Those of the settings given that the best ones are used with."""
    images: str
    """Which are scored, in words."""


def make_plan(
    methods: Sequence[str],
    given: Mapping[str, Any],
    dimensions: Sequence[Dimension],
    *,
    preset: str | None = None,
    seed: int = 0,
    trials: int | None = None,
    flops: float | None = None,
    on: On = "held-out",
) -> Plan:
    """Check all that was asked for, and share the effort out equally.

    Args:
        methods: names or variants, each method once.
        given: settings that are not searched.
        trials, flops: the whole effort, in one or the other.
        on: the images scored: training images held out, or, where asked for by name, the test
            images, which later figures are then not independent of.

    Raises:
        UserError: names what was given and what is allowed.
    """
    names = [parse_variant(label).method for label in methods]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"methods: {name} is given twice; tune one variant of it at a time")
    budget = _shares(len(methods), trials, flops)
    own = {"stop_after": 1, **given}
    stream = compose(methods[0], own, preset=preset, beside=names).stream
    if on == "test-stream":
        if stream.validation:
            raise UserError("validation: held-out images and --on test-stream: give one")
        images = "the test images"
    elif "validation" in given and not stream.validation:
        raise UserError("validation: 0 holds nothing out; to score test images, --on test-stream")
    elif stream.validation:
        images = f"held-out training images: the last {stream.validation:g} of each class"
    else:
        room = 1 - stream.skip - HELD_OUT
        if room <= 0:
            raise UserError(
                f"skip: at most {1 - HELD_OUT:g} to hold out {HELD_OUT:g}, got {stream.skip:g}"
            )
        own |= {"validation": HELD_OUT, "subset": round(min(stream.subset, room), 6)}
        images = f"held-out training images: the last {HELD_OUT:g} of each class"
    first = "task" if stream.stop_after == 1 else f"{stream.stop_after} tasks"
    base = compose(methods[0], own, preset=preset, beside=names)
    return Plan(
        spaces={
            label: space_of(label, name, dimensions, own, preset, names)
            for label, name in zip(methods, names, strict=True)
        },
        given=own,
        preset=base.preset,
        seed=seed,
        lasting={name: value for name, value in given.items() if name not in APART},
        images=f"{images}, of the first {first}",
        **budget,
    )


def _shares(methods: int, trials: int | None, flops: float | None) -> dict[str, Any]:
    if (trials is None) == (flops is None):
        raise UserError("effort: give --trials N or --flops N, one of them")
    if trials is not None:
        if trials < methods:
            raise UserError(f"trials: expected at least one a method ({methods}), got {trials}")
        return {"trials": trials // methods, "flops": None}
    assert flops is not None
    if not (math.isfinite(flops) and flops > 0):
        raise UserError(f"flops: expected a number above 0, such as 1e13, got {flops:g}")
    return {"trials": None, "flops": flops / methods}
