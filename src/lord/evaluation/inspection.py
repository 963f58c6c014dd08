"""What is known of a learner that is kept: plain data for tables, JSON and pages."""

import msgspec

from lord.evaluation.kept import Drift, Evaluation


class SessionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One session of a learner."""

    number: int
    date: str
    """Day on which it ended; empty if an old version wrote the state."""
    source: str
    images: int
    new_classes: list[str]
    level: int | None
    steps: int
    seconds: float
    flops: int
    held_out: list[float | None]
    """Held-out accuracy of each session so far after this one, in percent."""


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has begun and has not ended."""

    running: bool
    """Whether a process is learning it now. Otherwise it was interrupted."""
    source: str
    images: int
    steps: int


class BufferFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a learner's buffer holds."""

    images: int
    capacity: int
    classes: list[int]
    """Number of images of each class."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Something that takes bytes."""

    name: str
    size: int


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do next, and why."""

    text: str
    command: str = ""


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a learner has learned, what it holds, and what it cost."""

    state: str
    """Its folder."""
    method: str
    network: str
    """Name and width of the network that is trained, and its stem if that is not random.

    Empty without such a network.
    """
    backbone: str
    """Name and size of the frozen network; empty without one."""
    shape: list[int]
    """Channels, height and width of an image."""
    classes: list[str]
    given: list[int]
    """Number of different images of each class that it was given; empty if that is not known."""
    sessions: list[SessionFigures]
    held_out: Evaluation | None
    """How well it recognises its held-out images; None without them."""
    forgetting: float | None
    """Mean drop of earlier sessions' held-out accuracy from its best, in points."""
    parameters: int = 0
    student: list[int] = []
    """Channels of the student's groups of layers."""
    teacher: list[int] = []
    buffer: BufferFigures | None = None
    drift: Drift | None = None
    """Held-out images of the last session, compared with those of the sessions before."""
    disk: list[Part] = []
    """Files in its folder."""
    memory: list[Part] = []
    """Tensors of its parts."""
    seconds: float = 0.0
    flops: int = 0
    forgotten: int = 0
    """Number of pictures that were forgotten on request."""
    forgotten_on: str = ""
    """Day of the last such request."""
    unfinished: Unfinished | None = None
    advice: list[Advice] = []
