"""The data of a page: its studies and their runs."""

import msgspec

from lord.evaluation import Classes, Matrices, RunRecord, State, Study


class ShownRun(msgspec.Struct, kw_only=True):
    """A run on the page."""

    name: str
    """Name of its folder, unique in the comparison."""
    label: str
    """The variant as text."""
    row: str = ""
    """Short name of the variant. Runs with the same name differ only in the seed."""
    curve: str = ""
    """Short name without the epochs. Rows with the same name are budgets of one variant."""
    about: str = ""
    """All settings of the variant, in words."""
    whole: bool = True
    """Whether the short name has all settings."""
    seed: int
    preset: str
    command: str
    """Command that repeats the run; empty if its settings are not known."""
    record: RunRecord | None
    """Record of the run; None if it has not finished."""
    state: State = "finished"
    error: str | None = None
    """The error that ended the run."""
    training: str = ""
    """How it is trained, as far as the runs of the comparison differ in it."""
    matrices: Matrices | None
    task: int = 0
    """Number of finished tasks."""
    tasks: int | None = None
    step: int = 0
    losses: list[tuple[int, float]] = []
    written: float | None = None
    """Time of the last entry in its journal, in seconds since 1970."""
    settings: dict[str, object] = {}
    environment: dict[str, object] = {}
    classes: Classes | None = None
    sheet: str | None = None
    """Thumbnails of its buffer, as a data URI."""
    light: bool = False
    """Whether its classes were left out to keep the page small."""


class ShownStudy(msgspec.Struct, kw_only=True):
    """A comparison, or single runs in one folder."""

    name: str
    study: Study | None
    runs: list[ShownRun]
    warnings: list[str] = []
    """Few seeds, unequal training, and FLOPs that are not counted."""
    training: str = ""
    """How all runs are trained, as far as they have it in common."""


class Page(msgspec.Struct, kw_only=True):
    """All data of a page."""

    title: str
    convention: str
    reach: list[float]
    """Half the 95 % interval of a mean in standard deviations, for 2, 3, ... seeds."""
    studies: list[ShownStudy]
