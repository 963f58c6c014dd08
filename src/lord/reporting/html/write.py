"""The page as one file: template, style, scripts and data put together."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from lord.config import UserError
from lord.reporting.html.gather import Page, gather

FILE = "report.html"
MADE = b'<meta name="generator" content="lord report">'
"""In every page; no other file is replaced."""
STYLES = ("uplot/uPlot.min.css", "style.css", "parts.css")
SCRIPTS = (
    "uplot/uPlot.iife.min.js",
    *("data.js", "elements.js", "chart.js", "charts.js", "spent.js"),
    *("table.js", "heat.js", "classes.js", "chosen.js", "main.js"),
)


def write_page(folder: Path) -> Path:
    """Write report.html of the runs at or below a folder.

    Raises:
        UserError: if there are none, or the folder cannot be written.
    """
    page = gather(folder)
    if not page.studies:
        raise UserError(f"no run in '{folder}'")
    draft, file = folder / f".{FILE}", folder / FILE
    if file.is_file() and MADE not in file.read_bytes():
        raise UserError(f"'{file}' was not made by 'lord report': move it, it would be replaced")
    try:
        draft.write_text(render(encoded(page)), encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise UserError(f"cannot write to '{folder}': {error.strerror}") from None
    return file


def encoded(page: Page) -> str:
    """The page's data as JSON, figures to six digits."""
    return msgspec.json.encode(_rounded(msgspec.to_builtins(page))).decode()


def render(data: str, *, live: bool = False) -> str:
    """The page as HTML.

    Args:
        data: JSON.
        live: whether it asks the server it came from for newer data; else it asks nobody anything.
    """
    style = "\n".join(_own(name) for name in STYLES)
    script = "\n".join(_own(name) for name in SCRIPTS)
    # Nothing but these very scripts and styles may run, whatever a label or a class name holds.
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        f"img-src data:; connect-src {'self' if live else 'none'!r}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {"POLICY": policy, "STYLE": style, "DATA": inert(data), "SCRIPT": script}
    parts["LIVE"] = "true" if live else "false"
    head, *rest = _own("page.html").split("{{")
    for each in rest:
        name, _, text = each.partition("}}")
        head += parts[name] + text
    return head


def inert(data: str) -> str:
    """JSON that can stand inside a script element: no character in it means anything to HTML.

    >>> inert('["</script>"]')
    '["\\\\u003c/script\\\\u003e"]'
    """
    for character in "<>&\u2028\u2029":
        data = data.replace(character, f"\\u{ord(character):04x}")
    return data


def _own(name: str) -> str:
    return files("lord.reporting.html").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
