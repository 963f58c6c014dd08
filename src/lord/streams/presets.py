"""Named streams: images, tasks and length of training (arXiv:2004.07211)."""

from lord.config import Config

Channels = tuple[float, ...]
Values = dict[str, int | float | str]


class Protocol(Config, frozen=True):
    """A named stream. Settings that the user gives replace its ``settings``."""

    about: str
    """One line about the stream."""
    settings: Values
    """Values of the configuration, by the names of the settings."""
    classes: int | None = None
    """Number of classes of its images; None for any number."""
    mean: Channels | None = None
    """Mean of each channel for normalisation; None to measure it on the training images."""
    std: Channels | None = None
    """Standard deviation of each channel for normalisation; None to measure it."""
    crop: int = 4
    """Padding of the random crop, in pixels."""
    flip: bool = True
    """Whether half of the images are mirrored."""


DIGITS: Values = {
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
        about="UCI digits, 10 tasks with all ten classes, pixels permuted differently in each",
        settings=DIGITS | {"scenario": "permuted", "tasks": 10, "epochs": 5},
        crop=0,
        flip=False,
    ),
    "rotated-digits": Protocol(
        about="UCI digits, 10 tasks with all ten classes, rotated by another angle in each",
        settings=DIGITS | {"scenario": "rotated", "tasks": 10, "epochs": 5},
        crop=0,
        flip=False,
    ),
    "drifting-digits": Protocol(
        about="UCI digits, classes that come and go gradually, 10 segments, one epoch",
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
        about="your images, 5 tasks, ResNet-18 of width 16",
        settings={"width": 16, "tasks": 5, "epochs": 10, "batch": 32, "buffer": 500, "lr": 0.03},
    ),
}
"""Streams by name. The first is the default, and 'images' is the default for data of the user."""
BUILT_IN_PRESETS = tuple(PRESETS)
"""Names of the streams that come with the package."""
