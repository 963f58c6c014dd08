"""The protocols: images, tasks and training length of each stream (arXiv:2004.07211)."""

from typing import Any

from lord.config import Config

Channels = tuple[float, ...]


class Protocol(Config, frozen=True):
    """A named stream.

    ``settings`` are values of the configuration, by the names of the command line's flags;
    anything given by the user comes before them.
    """

    about: str
    settings: dict[str, Any]
    classes: int | None = None
    """Of its images; None: any number."""
    mean: Channels | None = None
    """Normalisation of each channel; None: measured on the training images."""
    std: Channels | None = None
    crop: int = 4
    """Padding of the random crop, in pixels."""
    flip: bool = True


DIGITS: dict[str, Any] = {
    "data": "digits",
    "network": "cnn",
    "width": 32,
    "batch": 32,
    "buffer": 200,
    "lr": 0.03,
}

PRESETS = {
    "digits": Protocol(
        about="UCI digits, 5 tasks of 2; comes with the package",
        settings=DIGITS | {"tasks": 5, "epochs": 15},
        crop=1,
        flip=False,
    ),
    "permuted-digits": Protocol(
        about="UCI digits, all ten in each of 10 tasks, pixels in another order each time",
        settings=DIGITS | {"scenario": "permuted", "tasks": 10, "epochs": 5},
        crop=0,
        flip=False,
    ),
    "rotated-digits": Protocol(
        about="UCI digits, all ten in each of 10 tasks, turned by another angle each time",
        settings=DIGITS | {"scenario": "rotated", "tasks": 10, "epochs": 5},
        crop=0,
        flip=False,
    ),
    "drifting-digits": Protocol(
        about="UCI digits coming and going gradually, 10 segments, one pass",
        settings=DIGITS | {"scenario": "drifting", "tasks": 10, "epochs": 1, "batch": 10},
        crop=1,
        flip=False,
    ),
    "s-cifar10": Protocol(
        about="S-CIFAR-10, 5 tasks of 2",
        settings={"tasks": 5, "epochs": 50, "batch": 32, "buffer": 500, "lr": 0.03},
        classes=10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2615),
    ),
    "s-cifar100": Protocol(
        about="S-CIFAR-100, 20 tasks of 5",
        settings={"tasks": 20, "epochs": 50, "batch": 32, "buffer": 500, "lr": 0.03},
        classes=100,
        mean=(0.5071, 0.4867, 0.4408),
        std=(0.2675, 0.2565, 0.2761),
    ),
    "s-cifar100-10x10": Protocol(
        about="S-CIFAR-100, 10 tasks of 10",
        settings={"tasks": 10, "epochs": 50, "batch": 32, "buffer": 500, "lr": 0.03},
        classes=100,
        mean=(0.5071, 0.4867, 0.4408),
        std=(0.2675, 0.2565, 0.2761),
    ),
    "s-tinyimg": Protocol(
        about="S-Tiny-ImageNet, 10 tasks of 20",
        settings={"tasks": 10, "epochs": 100, "batch": 32, "buffer": 500, "lr": 0.03},
        classes=200,
        mean=(0.4802, 0.4480, 0.3975),
        std=(0.2770, 0.2691, 0.2821),
    ),
    "images": Protocol(
        about="any other images, 5 tasks, the protocol's ResNet-18 at width 16",
        settings={
            "width": 16,
            "tasks": 5,
            "epochs": 10,
            "batch": 32,
            "buffer": 500,
            "lr": 0.03,
        },
    ),
}
"""The first is the default without data, the last the default for data without a preset."""
