"""The methods by name. Adding one: its file, and a line here; or a plug-in that registers it."""

import re

from lord.config import UserError, build, fields
from lord.methods.agem import AGEM
from lord.methods.der import DER
from lord.methods.derpp import DERpp
from lord.methods.er import ER
from lord.methods.er_ace import ERACE
from lord.methods.er_las import ERLAS
from lord.methods.er_tricks import ERTricks
from lord.methods.esmer import ESMER
from lord.methods.ewc import EWC
from lord.methods.fdr import FDR
from lord.methods.gdumb import GDumb
from lord.methods.icarl import ICaRL
from lord.methods.lord import LoRD
from lord.methods.lord_plus import LoRDPlus
from lord.methods.lwf import LwF
from lord.methods.mean_er import CLSER, MeanER
from lord.methods.method import Method, MethodConfig
from lord.methods.sgd import SGD, Joint
from lord.methods.si import SI
from lord.methods.xder import XDERRPC

ALL: tuple[type[Method], ...] = (
    *(LoRD, LoRDPlus),
    *(DERpp, DER, XDERRPC, FDR),
    *(ER, ERLAS, ERACE, ERTricks, MeanER, CLSER, ESMER, GDumb),
    *(ICaRL, AGEM),
    *(LwF, EWC, SI),
    *(SGD, Joint),
)
METHODS = {method.name: method for method in ALL}
OUR_METHODS = tuple(METHODS)


def register(method: type[Method]) -> type[Method]:
    """Make a method of your own known by its name; a class decorator.

    Raises:
        UserError: if it is no method, or not a whole one; or the name is taken or would not do on
            a command line.
    """
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise UserError(f"plugin: expected a subclass of lord.methods.Method, got {method!r}")
    if lacking := [
        *sorted(method.__abstractmethods__),
        *(() if hasattr(method, "name") else ["name"]),
    ]:
        raise UserError(f"plugin: {method.__qualname__} lacks {', '.join(lacking)}")
    if not (isinstance(method.Config, type) and issubclass(method.Config, MethodConfig)):
        raise UserError(f"plugin: {method.__qualname__}.Config is no lord.methods.MethodConfig")
    usual = method.Config()
    build(method.Config, {name: getattr(usual, name) for name in fields(method.Config)})
    known = METHODS.get(method.name, method)
    same = (known.__module__, known.__qualname__) == (method.__module__, method.__qualname__)
    plain = re.fullmatch(r"[^\s:,=./-][^\s:,=./]*", method.name)
    if not same or not plain:  # the same again: a notebook's cell, run twice
        raise UserError(f"plugin: a method's name must be new and plain, got '{method.name}'")
    METHODS[method.name] = method
    return method
