"""Models of torchvision and timm, by name."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from torch import nn

from lord.config import UserError, first_line, nearest

NetworkFactory = Callable[[int, int, int], nn.Module]
"""A function of the number of classes, the width and the images' channels. It returns a network."""

LIBRARIES = ("torchvision", "timm")
"""Libraries with models that users name as ``library:model``."""
MODULES = {
    "torchvision": ("torchvision.models", "'lord-cl[torchvision]'"),
    "timm": ("timm", "'lord-cl[timm]'"),
    "hf": ("transformers", "transformers"),
}
"""A library's name in settings -> the module that makes its models, and what pip installs."""


def library_network(name: str) -> NetworkFactory:
    """Return a function that makes a model of torchvision or timm with random weights.

    The function ignores its width argument, because the model's width is fixed.

    Args:
        name: library and model, such as ``timm:resnet18``.

    Raises:
        UserError: if the library is unknown or not installed, or does not have the model.
    """
    library, _, model = name.partition(":")
    if library not in LIBRARIES:
        allowed = " or ".join(f"{known}:MODEL" for known in LIBRARIES)
        hint = nearest(library, LIBRARIES)
        raise UserError(field="network", given=name, allowed=allowed, hint=hint)
    source = import_library(library, field="network", name=name)
    models = source.list_models()
    if model not in models:
        hint = nearest(model, models) or f"{source.__name__}.list_models() returns the names"
        raise UserError(f"is not a model of {library}", field="network", given=name, hint=hint)
    if library == "timm":
        return lambda classes, _, channels: source.create_model(
            model, num_classes=classes, in_chans=channels
        )

    def make(classes: int, _: int, channels: int) -> nn.Module:
        if channels != 3:
            reason = f"takes images of 3 channels; these have {channels}"
            raise UserError(reason, field="network", given=name, hint="choose a timm model")
        return source.get_model(model, weights=None, num_classes=classes)

    return make


def import_library(library: str, *, field: str, name: str) -> ModuleType:
    """Import the module of a library that makes models.

    Args:
        library: a key of ``MODULES``.
        field, name: the setting that names a model of the library, and its value.

    Raises:
        UserError: if it cannot be imported.
    """
    module, package = MODULES[library]
    try:
        return import_module(module)
    except Exception as error:  # torchvision fails in many ways with another release of torch
        raise UserError(
            f"needs {module.partition('.')[0]}, which cannot be imported ({first_line(error)})",
            field=field,
            given=name,
            hint=f"run: pip install {package}",
        ) from None
