"""Pages made from the code: one a method, the commands, the Python interface."""

import inspect
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from sphinx.pycode import ModuleAnalyzer

import lord
from lord.cli.main import app
from lord.evaluation import RunRecord
from lord.methods import METHODS, Method
from lord.reporting import CONVENTION, find_studies, summarise
from lord.reporting.tables import grid

Pages = dict[str, str]

ROOMS = {
    "methods": "what a method is made of",
    "learner": "what is kept for months",
    "training": "the loop, runs and comparisons",
    "streams": "sequences of tasks",
    "data": "images",
    "rehearsal": "the samples' redundancy",
    "networks": "by name, and your own",
    "channels": "elasticity as data",
    "student": "its redundancy",
    "teacher": "its redundancy",
    "evaluation": "accuracy matrix and records",
    "costs": "FLOPs, seconds and bytes",
    "reporting": "tables, pages and pictures",
    "config": "settings and the one-line error",
}

MEASURED = ["study", "variant", "seeds", "Class-IL", "Task-IL", "Class-IL re", "FLOPs"]


def slug(method: str) -> str:
    """A method's name in an address."""
    return method.replace("+", "-plus")


def methods(results: Path) -> Pages:
    """A page a method, and one of all."""
    studies = find_studies(results)
    pages = {}
    rows = []
    for name, method in METHODS.items():
        body = [
            line
            for folder, records in studies.items()
            for line in _measured(name, str(folder.relative_to(results)), records)
        ]
        measured = f"{grid(MEASURED, body)}\n\n{CONVENTION}\n" if body else "In no study yet.\n"
        pages[f"methods/{slug(name)}.md"] = _method(name, method, measured)
        about = inspect.cleandoc(method.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        rows.append([f"[`{name}`]({slug(name)}.md)", about, _paper(method)])
    table = "| method | what it is | paper |\n| --- | --- | --- |\n"
    table += "\n".join("| " + " | ".join(row) + " |" for row in rows)
    tree = "\n".join(slug(name) for name in METHODS)
    pages["methods/index.md"] = (
        "# Methods\n\nEach page has what the method does and where it departs from its paper, its "
        "settings, what\npresets set, what was measured of it, and its "
        "code.\n\n"
        f"{table}\n\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    )
    return pages


def _method(name: str, method: type[Method], measured: str) -> str:
    parts = [f"# {name}\n"]
    if paper := _paper(method):
        parts.append(f"{paper}\n")
    parts.append(f"```{{eval-rst}}\n{inspect.cleandoc(method.__doc__ or '')}\n```\n")
    parts.append(f"    lord run --method {name}\n    lord compare --methods {name},er\n")
    parts.append(f"## Settings\n\n{_settings(method)}\n")
    if rows := _published(method):
        parts.append(
            "## Presets\n\nWhat `--preset` sets for this method, at the buffer size nearest to the "
            f"one given.\n\n{rows}\n"
        )
    parts.append("## Measured\n")
    parts.append(measured)
    code = inspect.getsource(import_module(method.__module__))
    place = "src/" + method.__module__.replace(".", "/") + ".py"
    parts.append(f"## Code\n\n`{place}`:\n\n```python\n{code}```\n")
    return "\n".join(parts)


def _paper(method: type[Method]) -> str:
    """The first line of a method's file, which names the paper where there is one."""
    line = (inspect.getdoc(import_module(method.__module__)) or "").splitlines()[0]
    line = re.sub(r"arXiv:(\d+\.\d+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", line)
    return re.sub(r"doi:(10\.[^\s,)]+)", r"[doi:\1](https://doi.org/\1)", line)


def _settings(method: type[Method]) -> str:
    about: dict[str, str] = {}
    for kind in reversed(method.Config.__mro__):
        if kind.__module__.startswith("lord."):
            found = ModuleAnalyzer.for_module(kind.__module__).find_attr_docs()
            about |= {
                field: " ".join(lines).strip()
                for (owner, field), lines in found.items()
                if owner == kind.__qualname__
            }
    lines = ["| setting | default | allowed | what it is |", "| --- | --- | --- | --- |"]
    for field in msgspec.structs.fields(method.Config):
        allowed = _allowed(field.type).replace("|", "or")
        what = about.get(field.name, "").replace("|", "\\|")
        lines.append(f"| `{field.name}` | `{field.default}` | {allowed} | {what} |")
    return "\n".join(lines)


def _allowed(kind: Any) -> str:
    """A setting's type in words, from its JSON schema."""
    schema = msgspec.json.schema(kind)
    return " or ".join(_words(each) for each in schema.get("anyOf", [schema]))


def _words(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    name = {"integer": "whole number", "null": "none", "boolean": "true, false"}
    words = [name.get(schema.get("type", ""), schema.get("type", "any"))]
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    words += [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return ", ".join(words)


def _published(method: type[Method]) -> str:
    body = [
        [
            stream,
            str(size) if size else "any",
            ", ".join(f"{k} {v}" for k, v in settings.items()) or "-",
        ]
        for stream, sizes in method.PRESETS.items()
        for size, settings in sizes.items()
    ]
    lines = ["| stream | buffer | settings |", "| --- | ---: | --- |"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in body)]) if body else ""


def _measured(name: str, study: str, records: Sequence[RunRecord]) -> list[list[str]]:
    """A line for each variant of a method in a study."""
    return [
        [
            f"[{study}](../results/{study}/README.md)",
            f"`{row.method}`",
            str(len(row.records)),
            row.show(lambda r: r.class_il),
            row.show(lambda r: r.task_il),
            row.show(lambda r: r.class_il_recomputed),
            f"{row.mean(lambda r: r.training_flops) or 0:.3g}",
        ]
        for row in summarise(records)
        if row.method.partition(":")[0] == name
    ]


def commands() -> Pages:
    """The command line, as the commands themselves describe it."""
    text = app.generate_docs(output_format="markdown", heading_level=1)
    text = re.sub(r"^## Table of Contents\n.*?(?=^\*\*Commands)", "", text, flags=re.M | re.S)
    # The heading of a command is its anchor: no second list of them is needed.
    return {"commands.md": text.replace("# lord\n", "# Commands\n", 1)}


def interface() -> Pages:
    """The public interface, and what each room offers besides."""
    parts = ["# Python\n", f"```{{eval-rst}}\n{_documented('lord', sorted(lord.PUBLIC))}\n```\n"]
    parts.append("## Rooms\n\nWhat the package is built of, usable by itself.\n")
    parts.append("```{toctree}\n:maxdepth: 1\n\n" + "\n".join(ROOMS) + "\n```\n")
    pages = {"api/index.md": "\n".join(parts)}
    for room, about in ROOMS.items():
        module = import_module(f"lord.{room}")
        own = [name for name in module.__all__ if name not in lord.PUBLIC]
        shared = [name for name in module.__all__ if name in lord.PUBLIC]
        text = f"# lord.{room}: {about}\n\n{inspect.getdoc(module)}\n\n"
        if shared:
            names = ", ".join(f"{{py:obj}}`lord.{name}`" for name in shared)
            text += f"Described with the [public interface](index.md): {names}.\n\n"
        text += f"```{{eval-rst}}\n{_documented(f'lord.{room}', own)}\n```\n"
        pages[f"api/{room}.md"] = text
    return pages


def _documented(module: str, names: list[str]) -> str:
    lines = []
    for name in names:
        value = getattr(import_module(module), name)
        if inspect.isclass(value):
            kind = "autoexception" if issubclass(value, Exception) else "autoclass"
        else:
            kind = "autofunction" if inspect.isroutine(value) else "py:data"
        lines += [f".. {kind}:: {module}.{name}", ""]
        if kind == "py:data":
            lines += [f"   {line}" for line in _data_docs(module).get(name, [])]
    return "\n".join(lines)


@cache
def _data_docs(room: str) -> dict[str, list[str]]:
    """What the strings below a room's constants say."""
    found: dict[str, list[str]] = {}
    for name in [name for name in sys.modules if name.startswith(f"{room}.")]:
        docs = ModuleAnalyzer.for_module(name).find_attr_docs()
        found |= {field: lines for (owner, field), lines in docs.items() if not owner}
    return found
