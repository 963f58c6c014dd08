"""Make the pages that come from the code: methods, commands, the Python interface."""

import inspect
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import msgspec
from sphinx.pycode import ModuleAnalyzer

import lord
from lord.cli.main import app
from lord.config import describe
from lord.config.field import docstrings
from lord.evaluation import RunRecord
from lord.methods import METHODS, Recipe
from lord.reporting import CONVENTION, find_studies, summarise
from lord.reporting.tables import grid

Pages = dict[str, str]

ROOMS = {
    "methods": "the contract of a method",
    "learner": "a model that is kept",
    "training": "one run",
    "studies": "comparisons, ablations and tuning",
    "streams": "sequences of tasks",
    "data": "reading images",
    "rehearsal": "the buffer",
    "backbone": "pretrained networks, frozen",
    "networks": "networks by name",
    "channels": "narrowing and growing networks",
    "student": "growth",
    "teacher": "the search for a sub-network",
    "evaluation": "measures and records",
    "costs": "FLOPs, seconds and bytes",
    "reporting": "tables, charts and pages",
    "storage": "files, locks and checkpoints",
    "config": "settings and errors",
}

MEASURED = ["study", "variant", "seeds", "Class-IL", "Task-IL", "Class-IL re", "FLOPs"]


def slug(method: str) -> str:
    """Return a method's name as part of an address."""
    return method.replace("+", "-plus")


def methods(results: Path) -> Pages:
    """Return a page for each method, and one that lists them."""
    studies = find_studies(results)
    pages = {}
    rows = []
    for name, recipe in METHODS.items():
        body = [
            line
            for folder, records in studies.items()
            for line in _measured(name, folder, results, records)
        ]
        measured = f"{grid(MEASURED, body)}\n\n{CONVENTION}\n" if body else "In no study yet.\n"
        pages[f"methods/{slug(name)}.md"] = _method(name, recipe, measured)
        about = inspect.cleandoc(recipe.about).split("\n\n")[0].replace("\n", " ")
        rows.append([f"[`{name}`]({slug(name)}.md)", about, _paper(recipe)])
    table = "| method | what it does | paper |\n| --- | --- | --- |\n"
    table += "\n".join("| " + " | ".join(row) + " |" for row in rows)
    tree = "\n".join(slug(name) for name in METHODS)
    pages["methods/index.md"] = (
        "# Methods\n\nEach page says what the method does and where it departs from its paper. It "
        "lists its\nsettings, what presets set, what was measured, and its code.\n\n"
        f"{table}\n\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    )
    return pages


def _method(name: str, recipe: Recipe, measured: str) -> str:
    parts = [f"# {name}\n"]
    if paper := _paper(recipe):
        parts.append(f"{paper}\n")
    parts.append(f"```{{eval-rst}}\n{inspect.cleandoc(recipe.about)}\n```\n")
    parts.append(f"    lord run --method {name}\n    lord compare --methods {name},er\n")
    parts.append(f"## Settings\n\n{_settings(recipe)}\n")
    if rows := _published(recipe):
        parts.append(
            "## Published settings\n\n`--preset` sets these for the method, at the buffer size "
            f"nearest to the one given.\n\n{rows}\n"
        )
    parts.append(f"## Measured\n\n{measured}")
    module = recipe.method.__module__
    code = inspect.getsource(import_module(module))
    place = "src/" + module.replace(".", "/") + ".py"
    parts.append(f"## Code\n\n`{place}`:\n\n```python\n{code}```\n")
    return "\n".join(parts)


def _paper(recipe: Recipe) -> str:
    """Return the first line of a method's file if it names a paper, with its year."""
    module = import_module(recipe.method.__module__)
    line = (inspect.getdoc(module) or "").splitlines()[0]
    if not re.search(r"\d{4}", line):
        return ""
    line = re.sub(r"arXiv:(\d+\.\d+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", line)
    return re.sub(r"doi:(10\.[^\s,)]+)", r"[doi:\1](https://doi.org/\1)", line)


def _settings(recipe: Recipe) -> str:
    config = recipe.method.Config
    about, hints = docstrings(config), get_type_hints(config, include_extras=True)
    lines = ["| setting | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for field in msgspec.structs.fields(config):
        default = recipe.preset.get(field.name, field.default)
        if default is None or isinstance(default, bool):
            default = str(default).lower()  # as on the command line
        allowed = describe(hints[field.name]).replace("|", "or")
        meaning = about.get(field.name, "").replace("|", "\\|")
        lines.append(f"| `{field.name}` | `{default}` | {allowed} | {meaning} |")
    table = "\n".join(lines)
    if others := {k: v for k, v in recipe.preset.items() if k not in recipe.settings}:
        named = ", ".join(f"`{name}` {value}" for name, value in others.items())
        table += f"\n\nSettings of its optimizer and training: {named}."
    return table


def _published(recipe: Recipe) -> str:
    body = [
        [
            stream,
            str(size) if size else "any",
            ", ".join(f"{k} {v}" for k, v in settings.items()) or "-",
        ]
        for stream, sizes in recipe.published.items()
        for size, settings in sizes.items()
    ]
    lines = ["| stream | buffer | settings |", "| --- | ---: | --- |"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in body)]) if body else ""


def _measured(
    name: str, folder: Path, results: Path, records: Sequence[RunRecord]
) -> list[list[str]]:
    """Return a line for each variant of a method in a study, with a link to its page."""
    study = folder.relative_to(results)
    above = (study, *study.parents)
    page = next(each for each in above if (results / each / "README.md").exists())
    return [
        [
            f"[{study}](../results/{page}/README.md)",
            f"`{row.label}`",
            str(len(row.records)),
            row.show(lambda r: r.class_il),
            row.show(lambda r: r.task_il),
            row.show(lambda r: r.class_il_recomputed),
            f"{row.mean(lambda r: r.training_flops) or 0:.3g}",
        ]
        for row in summarise(records)
        if row.variant.method == name
    ]


def commands() -> Pages:
    """Return the page of the command line, as the commands describe themselves."""
    text = app.generate_docs(output_format="markdown", heading_level=1)
    text = re.sub(r"^## Table of Contents\n.*?(?=^\*\*)", "", text, flags=re.M | re.S)
    # The headings of commands are their anchors, so a second list is not needed.
    return {"commands.md": text.replace("# lord\n", "# Commands\n", 1)}


def interface() -> Pages:
    """Return the pages of the public interface and of each room."""
    parts = [
        "# Python\n\nImport these names from `lord`.\n",
        f"```{{eval-rst}}\n{_documented('lord', sorted(lord.PUBLIC))}\n```\n",
    ]
    parts.append("## Rooms\n\nThe parts of the package, for those who build on it.\n")
    parts.append("```{toctree}\n:maxdepth: 1\n\n" + "\n".join(ROOMS) + "\n```\n")
    pages = {"api/index.md": "\n".join(parts)}
    for room, about in ROOMS.items():
        module = import_module(f"lord.{room}")
        rest = [name for name in module.__all__ if name not in lord.PUBLIC]
        shared = [name for name in module.__all__ if name in lord.PUBLIC]
        text = f"# lord.{room}: {about}\n\n{inspect.getdoc(module)}\n\n"
        if shared:
            names = ", ".join(f"{{py:obj}}`lord.{name}`" for name in shared)
            text += f"Part of the [public interface](index.md): {names}.\n\n"
        text += f"```{{eval-rst}}\n{_documented(f'lord.{room}', rest)}\n```\n"
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
        lines += [f".. {kind}:: {module}.{name}", *_inherited(value), ""]
        if kind == "py:data":
            lines += [f"   {line}" for line in _data_docs(module).get(name, [])]
    return "\n".join(lines)


def _inherited(value: object) -> list[str]:
    """Return the option that shows members of base classes that have no entry."""
    if not inspect.isclass(value):
        return []
    bases = [base for base in value.__mro__[1:] if base.__module__.startswith("lord.")]
    documented = {name for room in ROOMS for name in import_module(f"lord.{room}").__all__}
    if all(base.__name__ in documented for base in bases):
        return []
    end = next(base for base in value.__mro__ if not base.__module__.startswith("lord."))
    return [f"   :inherited-members: {end.__name__}"]


@cache
def _data_docs(room: str) -> dict[str, list[str]]:
    """Return the docstrings of a room's constants."""
    found: dict[str, list[str]] = {}
    for name in [name for name in sys.modules if name.startswith(f"{room}.")]:
        docs = ModuleAnalyzer.for_module(name).find_attr_docs()
        found |= {field: lines for (owner, field), lines in docs.items() if not owner}
    return found
