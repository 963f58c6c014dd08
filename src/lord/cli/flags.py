"""Flags that several commands share. No torch here: help must be quick."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter, Token

from lord.config import UserError, assigned


def whole(_: Any, tokens: Sequence[Token]) -> int:
    """A whole number as typed; 1.5 is refused, not rounded."""
    try:
        return int(tokens[0].value)
    except ValueError:
        name = (tokens[0].keyword or "").lstrip("-")
        raise UserError(f"{name}: expected a whole number, got '{tokens[0].value}'") from None


def see_no_empty(words: list[str]) -> None:
    """See that no value is empty, as of a variable that is not set: '' is the folder one is in.

    Raises:
        UserError: names the flag.
    """
    for before, word in zip(["lord", *words], words, strict=False):
        if not word or (word.startswith("--") and word.endswith("=")):
            raise UserError(f"{word[:-1] or before}: expected a value, got nothing")


def with_set(given: dict[str, Any], more: Sequence[str] | None) -> dict[str, Any]:
    """What was given by flags, and by ``--set``.

    Raises:
        UserError: for what is given twice.
    """
    for name, value in map(assigned, more or ()):
        if name in given:
            raise UserError(f"{name}: is given twice, as {given[name]} and as {value}")
        given = given | {name: value}
    return given


TYPED: list[str] = []
"""The words of the command being run, for what it leaves to say where it came from."""

Whole = Annotated[int, Parameter(converter=whole)]

STREAM = Group("Stream", sort_key=1)
TRAINING = Group("Training", sort_key=2)
METHOD = Group("Method", sort_key=3)
RUNS = Group("Runs", sort_key=4)


@Parameter(name="*")
@dataclass(kw_only=True)
class Flags:
    """What is not given comes from the configuration file, else from the presets."""

    preset: Annotated[str | None, Parameter(group=STREAM)] = None
    """Stream: digits, s-cifar10 ..., images for any other; 'lord methods' lists them."""
    data: Annotated[str | None, Parameter(group=STREAM)] = None
    """Images: parquet, CIFAR archive, Tiny-ImageNet, image folders or .npz."""
    holdout: Annotated[float | None, Parameter(group=STREAM)] = None
    """Share of each class kept for testing, where the data has no test split."""
    resize: Annotated[Whole | None, Parameter(group=STREAM)] = None
    """Side in pixels all images are resized to."""
    scenario: Annotated[str | None, Parameter(group=STREAM)] = None
    """What changes over tasks: classes, permuted, rotated or drifting."""
    tasks: Annotated[Whole | None, Parameter(group=STREAM)] = None
    """Number of tasks; must divide the number of classes."""
    order: Annotated[str | None, Parameter(group=STREAM)] = None
    """Order of the classes: natural or seeded."""
    split: Annotated[str | None, Parameter(group=STREAM)] = None
    """Classes of each task spelt out, such as 0,1/2,3,4/5."""
    subset: Annotated[float | None, Parameter(group=STREAM)] = None
    """Share of each class's training images that is used, the first ones after --skip."""
    skip: Annotated[float | None, Parameter(group=STREAM)] = None
    """Share of each class's training images before those."""
    validation: Annotated[float | None, Parameter(group=STREAM)] = None
    """Share of the training images, the last ones, that is scored instead of the test images."""
    stop_after: Annotated[Whole | None, Parameter(group=STREAM)] = None
    """Learn and score only so many tasks, the first ones; all by default."""
    network: Annotated[str | None, Parameter(group=TRAINING)] = None
    """resnet18, cnn, mlp, vgg, bottleneck, squeeze, mobilenet, densenet, convnext or vit; where
    installed, torchvision:NAME or timm:NAME."""
    width: Annotated[Whole | None, Parameter(group=TRAINING)] = None
    """Filters of the network's first stage."""
    epochs: Annotated[Whole | None, Parameter(group=TRAINING)] = None
    """Passes over each task."""
    batch: Annotated[Whole | None, Parameter(group=TRAINING)] = None
    """Images of a step."""
    optimizer: Annotated[str | None, Parameter(group=TRAINING)] = None
    """sgd, or muon: its momentum orthogonalised."""
    lr: Annotated[float | None, Parameter(group=TRAINING)] = None
    """Learning rate."""
    momentum: Annotated[float | None, Parameter(group=TRAINING)] = None
    """Of the optimizer; 0 in the protocol."""
    nesterov: Annotated[bool | None, Parameter(group=TRAINING)] = None
    """Nesterov's form of momentum."""
    weight_decay: Annotated[float | None, Parameter(group=TRAINING)] = None
    """Of the optimizer; 0 in the protocol."""
    schedule: Annotated[str | None, Parameter(group=TRAINING)] = None
    """Learning rate over a task: constant, cosine or triangle."""
    precision: Annotated[str | None, Parameter(group=TRAINING)] = None
    """fp32 or bf16."""
    device: Annotated[str | None, Parameter(group=TRAINING)] = None
    """auto, cpu or cuda."""
    evaluate_every: Annotated[Whole | None, Parameter(group=TRAINING)] = None
    """Steps between evaluations within a task, for the stability gap; 0 for none."""
    checkpoint_every: Annotated[float | None, Parameter(group=TRAINING)] = None
    """Seconds between checkpoints; 60 by default."""
    threads: Annotated[Whole | None, Parameter(group=TRAINING)] = None
    """CPU threads of a run; 0 for all cores."""
    buffer: Annotated[Whole | None, Parameter(group=METHOD)] = None
    """Samples kept for rehearsal."""
    replay: Annotated[Whole | None, Parameter(group=METHOD)] = None
    """Samples drawn from the buffer at a time."""
    statistics: Annotated[str | None, Parameter(group=METHOD)] = None
    """Batch-norm statistics of the headline: trained or recomputed."""
    set: Annotated[list[str] | None, Parameter(group=METHOD, negative=())] = None
    """A setting of a method, such as rho=0.25 or lord.rho=0.25; 'lord methods' lists them."""
    config: Annotated[Path | None, Parameter(group="Parameters")] = None
    """YAML file of settings; flags come before it."""
    plugin: Annotated[Path | None, Parameter(group="Parameters")] = None
    """Python file with methods or networks of your own."""

    def given(self) -> dict[str, Any]:
        """What was given on the command line, as setting names and values."""
        own = {name: value for name, value in vars(self).items() if value is not None}
        for name in ("preset", "config", "plugin", "set"):
            own.pop(name, None)
        own = with_set(own, self.set)
        if "split" in own and {"tasks", "order"} & own.keys():
            raise UserError("split: spells the tasks out; leave --tasks and --order out")
        return own


@Parameter(name="*")
@dataclass(kw_only=True)
class Where:
    """Where many runs are run."""

    jobs: Annotated[Whole, Parameter(group=RUNS)] = 0
    """Runs at a time; 0 for one a core."""
    engine: Annotated[Literal["local", "ray"], Parameter(group=RUNS)] = "local"
    """local: processes on this machine; ray: tasks on a Ray cluster."""
    address: Annotated[str | None, Parameter(group=RUNS)] = None
    """HOST:PORT of the cluster, or auto; without it, one is started on this machine."""

    def check(self) -> None:
        """Raises:
        UserError: for what cannot be.
        """
        if self.jobs < 0:
            raise UserError(f"jobs: expected a number >= 0, got {self.jobs}")
        if self.address is not None and self.engine == "local":
            raise UserError(f"address: only for --engine ray, got '{self.address}'")
