"""Cut a data set into tasks: by class, by domain, or gradually."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import torch
from msgspec import Meta
from torch import Generator, Tensor

from lord.config import Config, UserError
from lord.config.types import Count, Groups, Natural, Probability, ProperFraction, Share
from lord.data import ImageData
from lord.streams.blurry import blurry_stream
from lord.streams.domains import drifting, permutation, permuted, rotated
from lord.streams.given import appearance, classes_of, cut_as_given, given_places
from lord.streams.imbalance import long_tailed
from lord.streams.sample import stratified
from lord.streams.source import Source, check_present, renumbered, share_of, shuffled
from lord.streams.split import numbered
from lord.streams.tasks import Stream, Task, Tasks


class StreamConfig(Config, frozen=True):
    """How the images are cut into tasks."""

    scenario: Literal["classes", "permuted", "rotated", "drifting", "blurry", "given"] = "classes"
    """The change between tasks. 'classes': each task has new classes. 'permuted' and 'rotated':
    all tasks have the same classes, with permuted pixels or rotated images. 'drifting': classes
    come, go and recur gradually, and a task is a segment of the stream. 'blurry': Si-Blurry, with
    random task borders, and some classes that appear in all tasks. 'given': the images come with
    their tasks."""
    tasks: Count = 5
    """Number of tasks. With new classes in each task, it must divide the number of classes."""
    order: Literal["natural", "seeded"] = "natural"
    """Order of the classes, or of the tasks if they are given or from 'split': as they stand, or
    shuffled by the run's seed."""
    order_seed: Natural | None = None
    """Seed of the shuffled order, in place of the run's seed. It also decides
    permutations, rotations and drift. By default, the run's seed decides them."""
    split: Groups | None = None
    """Classes of each task by number or name, such as 0,1/2,3 or 'cat,dog;ant,bee'. Replaces
    'tasks'."""
    subset: Share = 1.0
    """Share of each class's training images to use. They are the first after those that 'skip'
    leaves out."""
    skip: ProperFraction = 0.0
    """Share of each class's training images to leave out, from the first on."""
    validation: ProperFraction = 0.0
    """Share of each class's training images to score in place of the test images, for tuning.
    They are the last ones of the class."""
    test_subset: Share = 1.0
    """Share of each class's images to score, drawn by the run's seed. All methods of a comparison
    score the same images."""
    disjoint_classes: Probability = 0.5
    """With 'blurry': share of the classes whose images are all in one task."""
    blurry_samples: Probability = 0.1
    """With 'blurry': share of the other classes' images that are not in the class's main task."""
    imbalance: Annotated[float, Meta(ge=1)] = 1.0
    """Training images of the largest class divided by those of the smallest. Class sizes fall
    exponentially. 1 keeps all images."""
    tail: Literal["ordered", "shuffled"] = "shuffled"
    """With 'imbalance': the size of classes falls along the stream, or in random order."""
    stop_after: Count | None = None
    """Number of tasks to learn and score, from the first on. The default is all."""

    def __post_init__(self) -> None:
        total = self.skip + self.subset + self.validation
        if total > 1 + 1e-9:
            what = f"`skip` + `subset` + `validation` is {total:g}"
            raise UserError(what, field="subset", allowed="a sum of at most 1")
        if self.split is not None and self.scenario != "classes":
            raise UserError(
                f"cannot be combined with the scenario '{self.scenario}'",
                field="split",
                hint="leave it out, or set `scenario` to 'classes'",
            )


def make_stream(data: ImageData, config: StreamConfig, seed: int) -> Stream:
    """Cut a data set into tasks.

    >>> from lord.data import DataConfig, load_images
    >>> digits = load_images(DataConfig())
    >>> stream = make_stream(digits, StreamConfig(tasks=5), seed=0)
    >>> [task.classes for task in stream.train]
    [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]

    Args:
        data: images and labels; images may be mapped from a file.
        config: how to cut them.
        seed: draws the images of ``test_subset``. It also decides a seeded class order,
            permutations, rotations and drift, unless ``config.order_seed`` does.

    Raises:
        UserError: if ``tasks``, ``split``, ``subset`` or ``validation`` do not fit the data.
    """
    order_seed = seed if config.order_seed is None else config.order_seed
    mixed = config.order == "seeded" or config.order_seed is not None
    places = []
    if config.scenario == "given":
        places = given_places(data, config.tasks, order_seed if mixed else None)
    groups = [] if places else _groups(data.classes, config, order_seed if mixed else None)
    order = [label for group in groups for label in group] or appearance(data, places)
    train = share_of(data, order, "subset", config.skip, config.subset)
    test = renumbered(data.test_images, data.test_labels, order, data.test_tasks)
    if config.validation:
        test = share_of(data, order, "validation", 1 - config.validation, config.validation)
    if config.test_subset < 1:
        test = test.part(stratified(test.strata(len(order)), config.test_subset, seed))
    if config.imbalance > 1:
        train = long_tailed(train, len(order), config.imbalance, config.tail, order_seed)
    names = tuple(data.classes[label] for label in order)
    check_present(train, test, names)
    if config.scenario == "given":
        learned, scored = classes_of(places, train), classes_of(places, train, test)
        parts = cut_as_given(train, places, learned), cut_as_given(test, places, scored)
        return Stream(*parts, names)
    if config.scenario == "blurry":
        shares = config.disjoint_classes, config.blurry_samples
        return blurry_stream(train, test, names, config.tasks, *shares, order_seed)
    if config.scenario == "classes":
        sizes = [len(group) for group in groups]
        return Stream(_by_class(train, sizes), _by_class(test, sizes), names)
    if config.scenario == "drifting":
        return Stream(*_segments(train, test, len(order), config.tasks, order_seed), names)
    views = _views(config, data.shape, order_seed)
    whole_train, whole_test = (_by_class(part, [len(order)]) for part in (train, test))
    return Stream(_domains(whole_train, views), _domains(whole_test, views), names)


def _groups(names: Sequence[str], config: StreamConfig, seed: int | None) -> list[tuple[int, ...]]:
    """Return groups of classes: one for each task, or one for each class if tasks share them.

    Args:
        names: names of the classes.
        config: how to cut them.
        seed: shuffles the tasks of ``config.split``, or the classes; None to keep their order.
    """
    if config.split is not None:
        groups = numbered(config.split, names)
        places = range(len(groups)) if seed is None else shuffled(len(groups), seed)
        return [groups[place] for place in places]
    classes = len(names)
    order = list(range(classes)) if seed is None else shuffled(classes, seed)
    if config.scenario not in ("classes", "blurry"):
        return [(label,) for label in order]
    if config.tasks > classes:
        allowed = f"at most {classes}, the number of classes"
        raise UserError(field="tasks", given=config.tasks, allowed=allowed)
    if config.scenario == "blurry":
        return [(label,) for label in order]
    if classes % config.tasks:
        raise UserError(
            field="tasks",
            given=config.tasks,
            allowed=f"a divisor of {classes}, the number of classes",
            hint="or set `split`",
        )
    each = classes // config.tasks
    return [tuple(order[start : start + each]) for start in range(0, classes, each)]


def _by_class(source: Source, sizes: Sequence[int]) -> Tasks:
    """Cut into tasks, in label order. ``sizes`` has the number of classes of each task."""
    ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    classes = [tuple(range(end - size, end)) for end, size in zip(ends, sizes, strict=True)]

    def make(place: int) -> Task:
        wanted = torch.tensor(classes[place], device=source.labels.device)
        chosen = torch.isin(source.labels, wanted).nonzero().flatten()
        return source.task(place, classes[place], chosen)

    return Tasks(len(sizes), make)


def _segments(
    train: Source, test: Source, classes: int, number: int, seed: int
) -> tuple[Tasks, Tasks]:
    """Cut a drifting stream into segments. The classes present in a segment are scored after it."""
    generator = Generator().manual_seed(seed)
    rows = drifting(train.labels, list(range(classes)), number, generator)
    if not all(len(segment) for segment in rows):
        allowed = "few enough segments for each to have an image"
        raise UserError(field="tasks", given=number, allowed=allowed)
    present = [tuple(sorted(set(train.labels[segment].tolist()))) for segment in rows]

    def scored(place: int) -> Task:
        chosen = torch.isin(test.labels, torch.tensor(present[place])).nonzero().flatten()
        return replace(test.task(place, present[place], chosen), rows=chosen)

    learned = Tasks(number, lambda place: train.task(place, present[place], rows[place]))
    return learned, Tasks(number, scored)


def _views(
    config: StreamConfig, shape: Sequence[int], seed: int
) -> list[Callable[[Tensor], Tensor]]:
    """Return the function that changes the images, for each task."""
    generator = Generator().manual_seed(seed)
    if config.scenario == "permuted":
        orders = [permutation(shape, generator) for _ in range(config.tasks)]
        return [partial(permuted, order=order) for order in orders]
    turns = [180 * torch.rand((), generator=generator).item() for _ in range(config.tasks)]
    return [partial(rotated, degrees=turn) for turn in turns]


def _domains(whole: Tasks, views: Sequence[Callable[[Tensor], Tensor]]) -> Tasks:
    """Make a task for each view, from the images of the only task of ``whole``."""

    def make(place: int) -> Task:
        return replace(task := whole[0], index=place, images=views[place](task.images))

    return Tasks(len(views), make)
