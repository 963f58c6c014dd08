"""The methods by name. To add a method, add it to ``METHODS``, or register it in a plug-in."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lord.config import UserError, build, chosen, fields, note_owner
from lord.methods.agem import AGEM
from lord.methods.cls_er import CLSER
from lord.methods.der import DER
from lord.methods.derpp import DERpp
from lord.methods.er import ER
from lord.methods.er_ace import ERACE
from lord.methods.er_all import ERAll
from lord.methods.er_las import ERLAS
from lord.methods.er_tricks import ERTricks
from lord.methods.esmer import ESMER
from lord.methods.ewc import EWC
from lord.methods.fdr import FDR
from lord.methods.fused import LoRDFused
from lord.methods.gdumb import GDumb
from lord.methods.icarl import ICaRL
from lord.methods.lord import ABOUT_LORD_PLUS, LORD_PLUS, LoRD
from lord.methods.lwf import LwF
from lord.methods.mean_er import MeanER
from lord.methods.method import AnyMethod, MethodConfig, Published
from lord.methods.ncm import NCM
from lord.methods.ranpac import RanPAC
from lord.methods.sgd import SGD, Joint
from lord.methods.si import SI
from lord.methods.slda import SLDA
from lord.methods.xder import XDERRPC


@dataclass(frozen=True)
class Recipe:
    """A method under a name, with its settings under that name.

    Attributes:
        method: the class.
        preset: settings of the method and of its optimizer; empty for the class's defaults. A
            preset replaces the published settings.
        about: description, in the form of a docstring.
    """

    method: type[AnyMethod]
    preset: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the method's settings."""
        return fields(self.method.Config)

    @property
    def published(self) -> Published:
        """Published settings: stream -> buffer size -> setting -> value."""
        return {} if self.preset else self.method.PUBLISHED

    def above(self, backbone: object) -> dict[str, Any]:
        """Return settings for a network above a backbone, if the method trains one.

        Growth starts narrow, so it would discard pretrained channels.
        """
        return {"growth": "none"} if backbone and self.method.traits.features == "none" else {}

    def config(self, values: Mapping[str, Any]) -> MethodConfig:
        """Make the configuration from settings by name. Settings of other methods are left out.

        Raises:
            UserError: for a value that is not allowed.
        """
        return build(self.method.Config, chosen(self.method.Config, {**self.preset, **values}))


def recipe_of(method: type[AnyMethod]) -> Recipe:
    """Return the recipe of a method with its class's defaults."""
    return Recipe(method, about=method.__doc__ or "")


METHODS: dict[str, Recipe] = {
    "lord": recipe_of(LoRD),
    "lord+": Recipe(LoRD, LORD_PLUS, ABOUT_LORD_PLUS),
    "lord-fused": Recipe(LoRDFused, LORD_PLUS, LoRDFused.__doc__ or ""),
}
for _method in (
    *(DERpp, DER, XDERRPC, FDR),
    *(ER, ERAll, ERLAS, ERACE, ERTricks, MeanER, CLSER, ESMER, GDumb),
    *(ICaRL, AGEM),
    *(LwF, EWC, SI),
    *(SLDA, NCM, RanPAC),
    *(SGD, Joint),
):
    METHODS[_method.name] = recipe_of(_method)
BUILT_IN = tuple(METHODS)
"""Names of the methods that come with the package."""
RETIRED: dict[str, Any] = {
    "start": 0,
    "late": 0.0,
    "every": 1,
    "distill_every": 1,
    "pruned": True,
}
"""Settings of ``lord`` up to version 0.1, with their defaults. Files written then hold them."""


def register(method: type[AnyMethod]) -> type[AnyMethod]:
    """Register a method under its name; a class decorator.

    >>> from lord.methods import METHODS
    >>> class Mine(METHODS["er"].method):
    ...     name = "mine"
    >>> register(Mine).name in METHODS
    True
    >>> del METHODS["mine"]

    Raises:
        UserError: if it is not a complete method, or its name is taken or has a character with a
            meaning on the command line.
    """
    if not (isinstance(method, type) and issubclass(method, AnyMethod.__origin__)):  # type: ignore[attr-defined]
        raise UserError(field="plugin", given=method, allowed="a subclass of lord.methods.Method")
    missing = sorted(method.__abstractmethods__)
    missing += [] if hasattr(method, "name") else ["name"]
    if missing:
        raise UserError(f"{method.__qualname__} lacks {', '.join(missing)}", field="plugin")
    if not (isinstance(method.Config, type) and issubclass(method.Config, MethodConfig)):
        raise UserError(
            f"{method.__qualname__}.Config is not a lord.methods.MethodConfig", field="plugin"
        )
    _check_step(method)
    defaults = method.Config()
    build(method.Config, {name: getattr(defaults, name) for name in fields(method.Config)})
    known = METHODS[method.name].method if method.name in METHODS else method
    same = (known.__module__, known.__qualname__) == (method.__module__, method.__qualname__)
    plain = re.fullmatch(r"[^\s:,=./-][^\s:,=./]*", method.name)
    if not same or not plain:  # the same class again is fine: a notebook's cell, run twice
        raise UserError(
            f"the method name '{method.name}' is taken or not plain",
            field="plugin",
            allowed="a new name without spaces and : , = . /",
        )
    METHODS[method.name] = recipe_of(method)
    note_owner("method", method.name)
    return method


def _check_step(method: type[AnyMethod]) -> None:
    """Check that a method's step can be called with a batch and the progress."""
    signature = inspect.signature(method.step)
    try:
        signature.bind("self", "batch", "progress")
    except TypeError:
        raise UserError(
            f"{method.__qualname__} defines step{signature}",
            field="plugin",
            allowed="step(self, batch, progress)",
        ) from None
