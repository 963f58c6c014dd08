"""Gather the site's pages: those in docs/, those of results/, and those made from the code.

    python docs/site/assemble.py build/docs

The pages link to each other as they lie in the repository, and to those that are made only here;
every link is followed, and one that leads nowhere is an error.
"""

import os
import re
import shutil
import sys
from pathlib import Path

from generate import commands, interface, methods

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(\]\()([^)#\s]+)([^)]*\))")
ELSEWHERE = re.compile(r"^(https?|mailto):")


TREES = {"results/README.md": "*/README\n*/*/README", "extending.md": "examples/*"}
"""Pages, and the pages below them that they do not list."""


def pages() -> dict[Path, Path]:
    """Where a file of the repository lies in the site, both from their roots."""
    found = {file: file.name for file in sorted((ROOT / "docs").glob("*.md"))}
    found |= {ROOT / f"{name}.md": f"{name.lower()}.md" for name in ("CONTRIBUTING", "CHANGELOG")}
    found[ROOT / "CITATION.cff"] = "CITATION.cff"
    found |= {file: f"examples/{file.stem}.md" for file in sorted((ROOT / "examples").glob("*.py"))}
    for pattern in ("results/**/*.md", "results/**/*.png", "docs/drawings/*", "docs/pictures/*"):
        for file in sorted(ROOT.glob(pattern)):
            found[file] = str(file.relative_to(ROOT)).removeprefix("docs/")
    return {file.relative_to(ROOT): Path(place) for file, place in found.items()}


def relinked(text: str, file: Path, place: Path, known: dict[Path, Path]) -> str:
    """The text of a file with its links as they are in the site.

    Raises:
        SystemExit: if a link leads nowhere.
    """

    def follow(match: re.Match[str]) -> str:
        target = match[2]
        if ELSEWHERE.match(target):
            return match[0]
        meant = (ROOT / file.parent / target).resolve()
        if meant.is_relative_to(ROOT) and meant.relative_to(ROOT) in known:
            there = known[meant.relative_to(ROOT)]
        elif file.parts[0] == "docs" and target.split("/")[0] in ("methods", "commands.md", "api"):
            there = Path(target)  # made from the code; Sphinx follows it
        else:
            sys.exit(f"{file}: no page for the link '{target}'")
        return match[1] + os.path.relpath(there, place.parent) + match[3]

    return LINK.sub(follow, text)


def assemble(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    source, known = out / "source", pages()
    for file, place in known.items():
        (source / place).parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            text = relinked((ROOT / file).read_text(), file, place, known)
            if below := TREES.get(str(place)):
                text += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{below}\n```\n"
            (source / place).write_text(text)
        elif file.suffix == ".py":
            title = f"# {file}\n\n```python\n{(ROOT / file).read_text()}```\n"
            (source / place).write_text(title)
        else:
            shutil.copy(ROOT / file, source / place)
    readme = relinked((ROOT / "README.md").read_text(), Path("README.md"), Path("x"), known)
    (out / "README.md").write_text(readme)  # parts of it are included, as ../README.md
    for place, text in (methods(ROOT / "results") | commands() | interface()).items():
        (source / place).parent.mkdir(parents=True, exist_ok=True)
        (source / place).write_text(text)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
