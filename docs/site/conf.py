"""Sphinx for the pages that ``assemble.py`` gathers. Warnings are errors: see ``make docs``."""

from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

import lord

project = "LoRD"
author = "The LoRD maintainers"
copyright = "2026, The LoRD maintainers"
version = release = lord.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = ["myst.header"]  # results' pages begin their parts at any level

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
python_display_short_literal_types = True
python_use_unqualified_type_names = True

# Every name in a signature must be found, but for those of libraries (there is no network to look
# them up) and those kept within a room.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(torch|numpy|np|PIL|msgspec|nn|rich)\b.*"),
    (r"py:.*", r"(abc|collections|dict|pathlib|types|typing)\b.*"),
    (r"py:.*", r"(Tensor|Generator|Any|Callable|Path)"),
    (r"py:.*", r"lord\.[a-z_.]+\.[A-Za-z_]+"),
    (r"py:class", r"low"),  # "low, high:" among attributes is two names, not one with a type
]

html_theme = "furo"
html_title = f"LoRD {version}"
html_static_path = ["_static"]
html_css_files = ["lord.css"]
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which a browser refuses for files
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5d7a", "color-brand-content": "#0b5d7a"},
    "dark_css_variables": {"color-brand-primary": "#6cc1dd", "color-brand-content": "#6cc1dd"},
}
templates_path: list[str] = []
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = ">>> "
pygments_style = "friendly"


def google(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Read Google's sections."""
    # As of a method, since of an attribute what stands before a colon would be taken for a type.
    lines[:] = GoogleDocstring(lines, Config(napoleon_use_ivar=True), app, "method", name).lines()


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", google)
