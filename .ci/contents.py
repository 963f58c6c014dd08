"""Check that a release holds the files it should, and no others: python .ci/contents.py dist"""

import re
import sys
import tarfile
import zipfile
from pathlib import Path

IN_WHEEL = re.compile(
    r"lord/([a-z_]+/)*[a-z_]+\.py|lord/data/digits\.npz|lord/py\.typed|"
    r"lord/reporting/html/([a-z]+\.(js|css|html)|uplot/(LICENSE|uPlot\.[a-z.]+))"
)
IN_SDIST = re.compile(
    r"(src|docs|examples|benchmarks|results|\.ci)/.+\.(py|npz|txt|md|css|svg|png|json|js|html)|"
    r"results/.+\.(csv|yaml|jsonl)|"
    r"src/lord/py\.typed|src/lord/learner/old_state_\w+\.safetensors|src/lord/reporting/html/uplot/LICENSE|"
    r"\.ci/run|\.gitignore|"
    r"(PKG-INFO|LICENSE|Makefile|pyproject\.toml|constraints\.txt|CITATION\.cff|[A-Z]+\.md)"
)
TEST = re.compile(r"(^|/)(test_[^/]*|conftest)\.py$")


def stray(names: list[str], allowed: re.Pattern[str]) -> list[str]:
    """Return the names that are not allowed."""
    return [name for name in names if not allowed.fullmatch(name)]


def check(folder: Path) -> None:
    """Check the wheel and the sdist in a folder; exit with a message if one is wrong."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    code = [name for name in names if ".dist-info/" not in name]
    bad = stray(code, IN_WHEEL) + [name for name in code if TEST.search(name)]
    if bad:
        sys.exit(f"{wheel.name}: should not hold: {', '.join(bad)}")
    for needed in (
        "/licenses/LICENSE",
        "/METADATA",
        "/entry_points.txt",
        "lord/py.typed",
        "/html/page.html",
    ):
        if not any(name.endswith(needed) for name in names):
            sys.exit(f"{wheel.name}: lacks {needed}")
    with tarfile.open(sdist) as archive:
        inside = [m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()]
    if bad := stray(inside, IN_SDIST):
        sys.exit(f"{sdist.name}: should not hold: {', '.join(bad)}")
    for needed in ("LICENSE", "README.md", "src/lord/__init__.py", "src/lord/test_interface.py"):
        if needed not in inside:
            sys.exit(f"{sdist.name}: lacks {needed}")
    for file, members in ((wheel, names), (sdist, inside)):
        print(f"{file.name}: {len(members)} files, {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    check(Path(sys.argv[1]))
