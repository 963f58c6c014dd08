"""Make a year of photographs: 52 weekly folders of Tiny-ImageNet, as untidy as real ones.

The first week has six classes. Each later week has two new ones, until there are 100. A new class
has 12 to 60 photographs, and 40 more photographs of old classes arrive each week. Popular classes
get most of them. The JPEG files are those of the data set, except for these faults:

* Each week has copies of three earlier photographs, under other names.
* One file in fifty is bad: cut off, empty, or text.
* In the weeks of ``WRONG``, each photograph is in the folder of another class. The same
  photographs also lie in the right folders, in a folder for the corrected week.

``test`` holds test images of all classes.
"""

import json
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from photographs import encoded

WEEKS, CLASSES, FIRST, NEW = 52, 100, 6, 2
"""Weeks, classes in the end, classes of the first week and new ones of each later one."""
FEWEST, MOST, OLD, COPIES, BAD, TESTS = 12, 60, 40, 3, 50, 10
"""Photographs of a new class, of old classes a week, copies a week, files for each bad one, and
test images of a class."""
WRONG = (14, 33)
"""Weeks whose photographs are first learned under wrong names."""


@dataclass
class Year:
    """What the folders hold.

    Attributes:
        names: names of the classes, in the order in which they arrive.
        weeks: for each week, the name of the class and the content of each photograph that can be
            read and is not a copy.
        tests: names and contents of the test images.
        bad: number of bad files.
        copies: number of copies.
    """

    names: list[str]
    weeks: list[list[tuple[str, bytes]]] = field(default_factory=list)
    tests: list[tuple[str, bytes]] = field(default_factory=list)
    bad: int = 0
    copies: int = 0


def make_year(out: Path, tiny: Path, seed: int, weeks: int = WEEKS) -> Year:
    """Write the weekly folders and the test images into a new folder."""
    random = np.random.default_rng(seed)
    words = json.loads((tiny / "words.json").read_text())
    known = [words[wordnet].split(",")[0].replace(" ", "_") for wordnet in sorted(words)]
    once = Counter(known)  # two classes may have one first word
    labels = [n for n in random.permutation(len(known)).tolist() if once[known[n]] == 1][:CLASSES]
    year = Year([known[label] for label in labels])
    files, tests = (encoded(tiny, split, labels) for split in ("train", "valid"))
    popular = random.permutation(1 / np.arange(1, CLASSES + 1))
    shutil.rmtree(out, ignore_errors=True)
    seen = 0
    for week in range(weeks):
        now = min(FIRST + NEW * week, CLASSES)
        new = {c: int(random.integers(FEWEST, MOST + 1)) for c in range(seen, now)}
        wanted = Counter(new)
        if seen:
            shares = popular[:seen] / popular[:seen].sum()
            wanted.update(random.choice(seen, OLD, p=shares).tolist())
        photographs = []
        for c, count in wanted.items():
            taken, files[c] = files[c][:count], files[c][count:]
            photographs += [(year.names[c], content) for content in taken]
        year.weeks.append(photographs)
        _write_week(out / f"week{week:02d}", photographs, year, random)
        if week in WRONG:
            _write_wrong(out / f"week{week:02d}-wrong", photographs)
        seen = now
    for c, name in enumerate(year.names):
        year.tests += [(name, content) for content in tests[c][:TESTS]]
    for number, (name, content) in enumerate(year.tests):
        _put(out / "test" / name / f"{number:04d}.jpg", content)
    return year


def _write_week(
    folder: Path, photographs: list[tuple[str, bytes]], year: Year, random: np.random.Generator
) -> None:
    """Write a week's photographs, with copies of earlier ones and bad files among them."""
    for number, (name, content) in enumerate(photographs):
        _put(folder / name / f"{folder.name}_{number:03d}.jpg", content)
    earlier = [each for week in year.weeks[:-1] for each in week]
    for copy in range(COPIES if earlier else 0):
        name, content = earlier[int(random.integers(len(earlier)))]
        _put(folder / name / f"{folder.name}_copy{copy}.jpg", content)
        year.copies += 1
    for number in range(max(1, len(photographs) // BAD)):
        name, content = photographs[int(random.integers(len(photographs)))]
        faults = (content[: len(content) // 2], b"", b"not a photograph")
        _put(folder / name / f"{folder.name}_bad{number}.jpg", faults[year.bad % len(faults)])
        year.bad += 1


def _write_wrong(folder: Path, photographs: list[tuple[str, bytes]]) -> None:
    """Write a week's photographs under the names of other classes of that week."""
    names = sorted({name for name, _ in photographs})
    for number, (name, content) in enumerate(photographs):
        other = names[(names.index(name) + 1) % len(names)]
        _put(folder / other / f"{folder.name}_{number:03d}.jpg", content)


def _put(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
