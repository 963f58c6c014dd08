"""LoRD: continual learning that counts its cost.

>>> import lord
>>> config = lord.compose("lord", {"epochs": 1, "width": 8, "candidates": 8}, preset="digits")
>>> record = lord.run(config)
>>> record.method, len(record.matrices.class_il)
('lord', 5)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lord.backbone import register_backbone as register_backbone
    from lord.config import UserError as UserError
    from lord.config import Variant as Variant
    from lord.data import images as images
    from lord.data import images_by_task as images_by_task
    from lord.learner import Learner as Learner
    from lord.learner import Model as Model
    from lord.learner import load_model as load_model
    from lord.methods import register as register
    from lord.networks import register_network as register_network
    from lord.reporting import frame as frame
    from lord.streams import register_stream as register_stream
    from lord.studies import compare as compare
    from lord.training import RunConfig as RunConfig
    from lord.training import compose as compose
    from lord.training import run as run

__version__ = "0.1.0"

PUBLIC = {
    "Learner": "lord.learner",
    "Model": "lord.learner",
    "RunConfig": "lord.training",
    "UserError": "lord.config",
    "Variant": "lord.config",
    "compare": "lord.studies",
    "compose": "lord.training",
    "images": "lord.data",
    "images_by_task": "lord.data",
    "frame": "lord.reporting",
    "load_model": "lord.learner",
    "register": "lord.methods",
    "register_backbone": "lord.backbone",
    "register_network": "lord.networks",
    "register_stream": "lord.streams",
    "run": "lord.training",
}
"""Public names and their modules, which load at first use because torch takes a second."""

__all__ = [*PUBLIC, "__version__"]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'lord' has no attribute '{name}'")
    return getattr(import_module(PUBLIC[name]), name)
