"""Fields of a configuration as its source code tells them: type, default and docstring.

A command line shows these without importing PyTorch, which takes a second.
"""

import ast
import inspect
from textwrap import dedent
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from lord.config import types
from lord.config.parse import Config


class Field(NamedTuple):
    """A setting.

    Attributes:
        name: its name.
        kind: its type, with its range.
        default: its default; None if the source does not say it literally.
        about: its docstring, in one line.
    """

    name: str
    kind: object
    default: object
    about: str


def read_fields(source: str, config: str) -> list[Field]:
    """Read the fields of a configuration from the source code of its module.

    >>> text = '''class Config:
    ...     rho: Probability = 1.0
    ...     "Probability of a replay."
    ... '''
    >>> read_fields(text, "Config")[0].about
    'Probability of a replay.'

    Args:
        config: name of the class. Its types are those of ``lord.config.types``.
    """
    body = _body(source, config)
    names = vars(types) | {"Annotated": Annotated, "Literal": Literal, "Meta": Meta}
    return [
        Field(name, _evaluated(node.annotation, names), _literal(node.value), about)
        for name, node, about in _documented(body)
    ]


def docstrings(config: type[Config]) -> dict[str, str]:
    """Return the docstring of each field of a configuration, in one line."""
    found: dict[str, str] = {}
    for base in reversed(config.__mro__):
        if issubclass(base, Config) and base.__struct_fields__:
            body = _body(inspect.getsource(base), base.__name__)
            found |= {name: about for name, _, about in _documented(body)}
    return found


def _body(source: str, name: str) -> list[ast.stmt]:
    """Return the statements of a class; none if the source does not define it."""
    for node in ast.walk(ast.parse(dedent(source))):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node.body
    return []


def _documented(body: list[ast.stmt]) -> list[tuple[str, ast.AnnAssign, str]]:
    """Return the name, the assignment and the docstring of each field."""
    found = []
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = _literal(after.value) if isinstance(after, ast.Expr) else None
            found.append((node.target.id, node, " ".join(str(text or "").split())))
    return found


def _evaluated(annotation: ast.expr, names: dict[str, object]) -> object:
    return eval(compile(ast.Expression(annotation), "<annotation>", "eval"), dict(names))


def _literal(node: ast.expr | None) -> object:
    """Return the value of a literal; None for any other expression."""
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None
