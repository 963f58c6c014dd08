"""Make the parts of a run: device, threads, method and stream."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Generator

from lord.config import UserError, seeded
from lord.data import Augment, ImageData, measure_normalisation
from lord.methods import METHODS, AnyMethod, Inputs, build_method, first_student, make_inputs
from lord.streams import Stream, make_stream
from lord.training.budget import Epochs, FlopBudget, RealTime, sgd_step_flops
from lord.training.config import RunConfig
from lord.training.ranks import SINGLE, Ranks, spread


def stream_of(config: RunConfig, data: ImageData) -> Stream:
    """Return the stream a run learns.

    Raises:
        UserError: if it cannot be cut from these images, they do not fit the preset, or the method
            cannot learn classes of earlier tasks and the stream has some.
    """
    wanted, channels = config.protocol, data.shape[0]
    for what, has, needs in (
        ("channels", channels, len(wanted.mean) if wanted.mean else None),
        ("classes", len(data.classes), wanted.classes),
    ):
        if needs not in (None, has):
            raise UserError(
                f"is for images of {needs} {what}, '{config.data.data}' has {has}",
                field="preset",
                given=config.preset,
                hint="the preset 'images' accepts any images",
            )
    stream = make_stream(data, config.stream, config.seed)
    if (last := config.stream.stop_after or 0) > len(stream.train):
        tasks = f"at most {len(stream.train)}, the number of tasks"
        raise UserError(field="stop_after", given=last, allowed=tasks)
    if not METHODS[config.method].method.traits.recurs:
        seen = [label for task in stream.train[: last or None] for label in task.classes]
        if len(seen) > len(set(seen)):
            raise UserError(
                f"{config.method} needs new classes in each task, and the stream repeats some",
                field="method",
                hint="choose another method",
            )
    return stream


def make_method(
    config: RunConfig,
    data: ImageData,
    stream: Stream,
    device: torch.device,
    ranks: Ranks = SINGLE,
) -> tuple[AnyMethod, Stream]:
    """Make the untrained method of a run, and the stream that it learns, on ``device``.

    Args:
        config: the run's configuration.
        data: the run's images.
        stream: all tasks cut from the images.
        device: device for the method and the stream.
        ranks: the processes that share the passes.

    Raises:
        UserError: if the method cannot be split over several processes.
    """
    traits = METHODS[config.method].method.traits
    if ranks.world > 1 and not traits.splits:
        raise UserError(
            f"{config.method} cannot be split over processes: it reads gradients or features",
            field="method",
            hint="start one process, without torchrun",
        )
    tasks = 1 if traits.joint else len(stream.train)
    stream = stream.first(config.stream.stop_after)
    stream = (stream.joined() if traits.joint else stream).to(device)
    classes = len(stream.class_names)
    sample = stream.train[0].images if config.backbone.backbone else None
    inputs = make_inputs(config.method, config.backbone, data.shape, device, sample)
    if inputs.latents is not None:
        stream = stream.changed(inputs.latents)
    network = first_student(
        config.method, config.settings, config.network, inputs, classes, config.seed
    )
    spread(network, ranks)
    flops, step_flops = config.training.flops_per_task, 1
    if flops is not None:
        flops *= len(stream.test) / len(stream.train)  # a joined task stands for all
        step_flops = sgd_step_flops(network.to(device), inputs.shape, config.training.batch)
    with seeded("method", config.seed):  # a plug-in may make layers with random weights
        method = build_method(
            config.method,
            config.settings,
            network=network.to(device),
            inputs=inputs,
            augment=_augmentation(config, data, device, inputs),
            optimizer=config.optimizer,
            classes=classes,
            tasks=tasks,
            epochs=config.training.epochs,
            batch=config.training.batch,
            generator=make_generator(config.seed, 1),
            last=len(stream.train) - 1,
            flops=flops,
            step_flops=step_flops,
        )
    return method, stream


def make_budget(
    config: RunConfig,
    method: AnyMethod,
    ranks: Ranks,
    warn: Callable[[str], None],
) -> Epochs:
    """Make the budget of a run, which decides when a task ends.

    Args:
        config: the run's configuration.
        method: the untrained method.
        ranks: the processes that share the passes.
        warn: called with a warning if the budget is small.

    Raises:
        UserError: if FLOPs decide, and the run has several processes.
    """
    training = config.training
    field = "realtime" if training.realtime else "flops_per_task"
    if not training.realtime and training.flops_per_task is None:
        return Epochs(training.epochs)
    if ranks.world > 1:
        hint = "start one process, without torchrun"
        raise UserError("cannot be used on several processes", field=field, hint=hint)
    if method.context.flops is not None:
        return FlopBudget(method.context.flops, training.epochs, warn)
    classes, shape = method.context.classes, method.context.shape
    inputs = Inputs(shape, method.context.backbone, method.context.latents)
    network = first_student(
        config.method, config.settings, config.network, inputs, classes, config.seed
    )
    flops = sgd_step_flops(network.to(method.device), shape, training.batch)
    return RealTime(training.epochs, flops)


def pick_device(name: str) -> torch.device:
    """Return the device that a setting names; auto is a GPU if one is available.

    Raises:
        UserError: if the setting is cuda and no GPU is available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("is not available", field="device", given=name, hint="set 'cpu' or 'auto'")
    return torch.device(name)


def make_generator(seed: int, purpose: int, device: torch.device | str = "cpu") -> Generator:
    """Make the generator for one purpose, so that purposes do not affect each other's numbers."""
    return Generator(device).manual_seed(1_000_003 * purpose + seed)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Set PyTorch's number of CPU threads, inside a ``with`` block; 0 does not change it."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _augmentation(
    config: RunConfig, data: ImageData, device: torch.device, inputs: Inputs
) -> Augment:
    generator = make_generator(config.seed, 2, device)
    if (latents := inputs.augmentation(generator)) is not None:
        return latents
    protocol = config.protocol
    mean, std = protocol.mean, protocol.std
    if mean is None or std is None:
        mean, std = measure_normalisation(data.train_images)
    return Augment(mean, std, crop=protocol.crop, flip=protocol.flip, generator=generator)
