"""Build a method from its name, its settings and its network."""

from collections.abc import Callable

from torch import Generator, nn

from lord.data import Augment
from lord.methods.context import Context
from lord.methods.inputs import Inputs
from lord.methods.method import AnyMethod, MethodConfig
from lord.methods.optim import OptimizerConfig
from lord.methods.registry import METHODS
from lord.streams import Task, batch_count


def build_method(
    name: str,
    config: MethodConfig,
    *,
    network: nn.Module,
    inputs: Inputs,
    augment: Augment,
    optimizer: OptimizerConfig,
    classes: int,
    tasks: int,
    epochs: int | Callable[[int], int],
    batch: int,
    generator: Generator,
    last: int | None = None,
    flops: float | None = None,
    step_flops: float = 1.0,
) -> AnyMethod:
    """Build an untrained method.

    Args:
        name: name of the method, as registered.
        config: its settings.
        network: at full width, on the device, with one output per class.
        epochs: passes over each task, or a function from its number of images to them.
        batch: number of images in a step.
        inputs: what the method learns from.
        augment, optimizer, classes, tasks, generator, last, flops: as in ``Context``.
        step_flops: FLOPs of a step of plain SGD, with which steps are estimated if ``flops`` limits
            a task.
    """

    def steps(task: Task) -> int:
        if flops is not None:
            return max(int(flops / step_flops), 1)
        count = len(task.labels)
        passes = epochs if isinstance(epochs, int) else epochs(count)
        return passes * batch_count(count, batch)

    context = Context(
        network=network,
        augment=augment,
        optimizer=optimizer,
        shape=inputs.shape,
        classes=classes,
        tasks=tasks,
        batch=batch,
        steps=steps,
        generator=generator,
        last=last,
        flops=flops,
        backbone=inputs.backbone,
        latents=inputs.latents,
    )
    return METHODS[name].method(config, context)
