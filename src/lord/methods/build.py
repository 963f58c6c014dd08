"""Build a method from its name, its settings and its network."""

from torch import Generator, nn

from lord.data import Augment
from lord.methods.method import AnyMethod, Context, MethodConfig
from lord.methods.optim import OptimizerConfig
from lord.methods.registry import METHODS
from lord.streams import batch_count


def build_method(
    name: str,
    config: MethodConfig,
    *,
    network: nn.Module,
    augment: Augment,
    optimizer: OptimizerConfig,
    shape: tuple[int, int, int],
    classes: int,
    tasks: int,
    epochs: int,
    batch: int,
    generator: Generator,
    last: int | None = None,
) -> AnyMethod:
    """Build an untrained method.

    Args:
        name: name of the method, as registered.
        config: its settings.
        network: at full width, on the device, with one output per class.
        epochs, batch: passes over each task, and number of images in a step.
        augment, optimizer, shape, classes, tasks, generator, last: as in ``Context``.
    """
    context = Context(
        network=network,
        augment=augment,
        optimizer=optimizer,
        shape=shape,
        classes=classes,
        tasks=tasks,
        batch=batch,
        steps=lambda task: epochs * batch_count(len(task.labels), batch),
        generator=generator,
        last=last,
    )
    return METHODS[name].method(config, context)
