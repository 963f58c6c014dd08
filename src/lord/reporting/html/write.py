"""Write the page as one file with its styles, scripts and data."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import msgspec

from lord.config import UserError
from lord.reporting.html.gather import gather
from lord.reporting.report import not_ours
from lord.storage import json_text, write_atomic

FILE = "report.html"
MADE = b'<meta name="generator" content="lord report">'
"""Mark of every page. A report.html without it is not replaced."""
STYLES = ("uplot/uPlot.min.css", "style.css", "parts.css")
SCRIPTS = (
    "uplot/uPlot.iife.min.js",
    *("data.js", "elements.js", "chart.js", "charts.js", "spent.js"),
    *("table.js", "heat.js", "classes.js", "chosen.js", "theme.js", "main.js"),
)


def write_page(folder: Path) -> Path:
    """Write report.html with the runs in a folder and the folders below it.

    Raises:
        UserError: if no run is found, the folder cannot be written, or it has a report.html that
            was not made by a report.
    """
    page = gather(folder)
    if not page.studies:
        raise UserError("has no run", field="folder", given=folder)
    file = folder / FILE
    write_html(file, render(encoded(page)))
    return file


def write_html(file: Path, text: str) -> None:
    """Write a page to a file. It may replace a page that this package made.

    Raises:
        UserError: if the file cannot be written, or another kind of file is in its place.
    """
    if file.is_file() and MADE not in file.read_bytes():
        raise not_ours(file)
    try:
        write_atomic(file, lambda draft: draft.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot write '{file}': {error.strerror}") from None


def encoded(page: object) -> str:
    """Return the data of a page as JSON, with numbers of six digits."""
    return json_text(_rounded(msgspec.to_builtins(page)))


def render(
    data: str,
    *,
    live: bool = False,
    template: str = "page.html",
    scripts: Sequence[str] = SCRIPTS,
) -> str:
    """Return the page as HTML.

    Args:
        data: the data of the page, as JSON.
        live: whether the page asks its server for newer data. Otherwise it makes no request.
        template: file of its elements.
        scripts: files of its scripts.
    """
    style = "\n".join(_text(name) for name in STYLES)
    script = "\n".join(_text(name) for name in scripts)
    # Browsers run only these scripts and styles, even if a class or variant is named like a script.
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        f"img-src data:; connect-src {'self' if live else 'none'!r}; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {"POLICY": policy, "STYLE": style, "DATA": inert(data), "SCRIPT": script}
    parts["LIVE"] = "true" if live else "false"
    head, *rest = _text(template).split("{{")
    for each in rest:
        name, _, text = each.partition("}}")
        head += parts[name] + text
    return head


def inert(data: str) -> str:
    """Escape JSON for a script element, so that no character has a meaning in HTML.

    >>> inert('["</script>"]')
    '["\\\\u003c/script\\\\u003e"]'
    """
    for character in "<>&\u2028\u2029":
        data = data.replace(character, f"\\u{ord(character):04x}")
    return data


def _text(name: str) -> str:
    """Return the text of a file of this package."""
    return files("lord.reporting.html").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the hash of a script or style, for the content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
