"""Gather the site's pages from docs/, results/ and the code, and draw the charts of the studies.

    python docs/site/assemble.py build/docs

Links in a page are written for the repository. They are rewritten for the site, and a link that
leads nowhere is an error. What stands in a comment that begins with "on the site:" is shown there.
"""

import os
import re
import shutil
import sys
from pathlib import Path

from generate import commands, interface, methods
from studies import FRONTS, draw

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(\]\()([^)#\s]+)([^)]*\))")
EXTERNAL = re.compile(r"^(https?|mailto):")
ONLY_HERE = re.compile(r"<!-- on the site:\n(.*?)-->", re.DOTALL)
DESCRIBED = {
    "src/lord/cli": "commands.md",
    "src/lord/evaluation": "api/evaluation.md",
    "src/lord/methods": "methods/index.md",
    "src/lord/methods/lord.py": "methods/lord.md",
}
"""Code that pages link to, and the site's pages that are made from it."""
TREES = {"results/README.md": "*\n*/*\n*/*/README", "how-to/add-a-method.md": "/examples/*"}
"""Pages, and the pages below them in the navigation."""


def pages() -> dict[Path, Path]:
    """Map each file of the repository to its place in the site, both relative to their roots."""
    found = {ROOT / f"{name}.md": f"{name.lower()}.md" for name in ("CONTRIBUTING", "CHANGELOG")}
    found[ROOT / "CITATION.cff"] = "CITATION.cff"
    found |= {file: f"examples/{file.stem}.md" for file in sorted((ROOT / "examples").glob("*.py"))}
    patterns = "docs/**/*.md", "docs/drawings/*", "docs/pictures/*.[ps][nv]g", "results/**/*.md"
    for pattern in patterns:
        for file in sorted(ROOT.glob(pattern)):
            found[file] = str(file.relative_to(ROOT)).removeprefix("docs/")
    return {file.relative_to(ROOT): Path(place) for file, place in found.items()}


def relinked(text: str, file: Path, place: Path, known: dict[Path, Path]) -> str:
    """Return the text of a page with its links rewritten for the site.

    Args:
        file: the page in the repository.
        place: the page in the site.
        known: places by file, as ``pages`` returns them.

    Raises:
        SystemExit: if a link leads nowhere.
    """

    def follow(match: re.Match[str]) -> str:
        target = match[2]
        if EXTERNAL.match(target):
            return match[0]
        meant = Path(os.path.normpath(file.parent / target))
        if meant in known:
            found = known[meant]
        elif str(meant) in DESCRIBED:
            found = Path(DESCRIBED[str(meant)])
        elif str(meant) == FRONTS:  # drawn for the site only
            found = meant
        else:
            sys.exit(f"{file}: no page for the link '{target}'")
        return match[1] + os.path.relpath(found, place.parent) + match[3]

    return LINK.sub(follow, ONLY_HERE.sub(r"\1", text))


def assemble(out: Path) -> None:
    """Write the sources of the site to ``out/source``."""
    shutil.rmtree(out, ignore_errors=True)
    source, known = out / "source", pages()
    drawn = draw(ROOT / "results", source / "results")
    for file, place in known.items():
        (source / place).parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            text = drawn.get(ROOT / file) or relinked((ROOT / file).read_text(), file, place, known)
            if below := TREES.get(str(place)):
                text += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{below}\n```\n"
            (source / place).write_text(text)
        elif file.suffix == ".py":
            title = f"# {file}\n\n```python\n{(ROOT / file).read_text()}```\n"
            (source / place).write_text(title)
        else:
            shutil.copy(ROOT / file, source / place)
    for name, text in (methods(ROOT / "results") | commands() | interface()).items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
