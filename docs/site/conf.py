"""Configure Sphinx for the pages that ``assemble.py`` gathers. ``make docs`` fails on warnings."""

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
suppress_warnings = ["myst.header"]  # pages of results may skip heading levels

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
python_display_short_literal_types = True
python_use_unqualified_type_names = True

# Every name in a signature must have an entry, except names of libraries and of a room's internals.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(torch|numpy|np|PIL|msgspec|nn|rich)\b.*"),
    (r"py:.*", r"(abc|collections|dict|os|pathlib|types|typing)\b.*"),
    (r"py:.*", r"(Tensor|Generator|Any|Callable|Path|DataFrame)"),
    (r"py:.*", r"lord\.[a-z_.]+\.[A-Za-z_]+"),
    (r"py:class", r"[a-z_]+"),  # "low, high:" in a docstring names two values, not their type
]

html_theme = "furo"
html_title = f"LoRD {version}"
html_static_path = ["_static"]
html_css_files = ["lord.css"]
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # a browser does not fetch pages from files
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5d7a", "color-brand-content": "#0b5d7a"},
    "dark_css_variables": {"color-brand-primary": "#6cc1dd", "color-brand-content": "#6cc1dd"},
}
templates_path: list[str] = []
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = ">>> "
pygments_style = "friendly"


def google(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Convert Google-style sections of a docstring."""
    # As "method": in an attribute's docstring, text before a colon would become its type.
    lines[:] = GoogleDocstring(lines, Config(napoleon_use_ivar=True), app, "method", name).lines()


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", google)
