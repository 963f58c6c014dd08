"""Make photographs that arrive over four weeks: ten classes of Tiny-ImageNet as JPEG folders.

    python benchmarks/photographs.py make photographs/ --tiny tiny-imagenet/ --choice 0

Writes week1/CLASS to week4/CLASS and test/CLASS. The first week has four classes and 600 images.
Each later week has two new classes and a few more images of old ones. In the end there are 1,639
images. One class has only 39. The test folder has 50 images of each of the ten classes. The JPEG
files are those of the data set, unchanged. A class is named after the first of its words.

``--choice`` chooses the ten classes. Choices 0, 1 and 2 are things that a person may photograph:
animals, vehicles, food, objects and a landscape. They were chosen by name, after random choices had
been measured and before these were. Choices 3 to 19 are ten random classes each. They are harder:
"reel", "nail" and "maypole" are classes too. ImageNet contains all of them, so weights trained on
it have seen them.
"""

import argparse
import json
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

SEED = 0
CLASSES, CHOICES = 10, 20
"""Classes of one choice, and number of choices: Tiny-ImageNet has 200 classes."""
EVERYDAY = (
    "goldfish king_penguin golden_retriever monarch school_bus banana pizza teapot umbrella "
    "lakeside",
    "koala ladybug tabby jellyfish convertible orange espresso rocking_chair teddy alp",
    "African_elephant dragonfly brown_bear snail sports_car lemon ice_cream backpack "
    "computer_keyboard beacon",
)
"""Classes of the first choices, in the order in which they arrive."""
WEEKS = (
    {0: 150, 1: 150, 2: 150, 3: 150},
    {4: 150, 5: 150, 0: 25, 1: 25},
    {6: 150, 7: 39, 2: 50, 4: 50},
    {8: 150, 9: 150, 3: 50, 6: 50},
)
"""Images of each class by week."""


def make(out: Path, tiny: Path, choice: int) -> None:
    """Write the four weeks and the test images of one choice of classes into a new folder."""
    words = json.loads((tiny / "words.json").read_text())
    # Labels are in the order of WordNet's IDs.
    known = [words[wordnet].split(",")[0].replace(" ", "_") for wordnet in sorted(words)]
    if choice < len(EVERYDAY):
        labels = [known.index(name) for name in EVERYDAY[choice].split()]
    else:
        order = np.random.default_rng(SEED).permutation(len(known)).tolist()
        labels = order[choice * CLASSES : (choice + 1) * CLASSES]
    names = [known[label] for label in labels]
    unfinished = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    photographs, tests = (encoded(tiny, split, labels) for split in ("train", "valid"))
    for number, counts in enumerate(WEEKS, 1):
        for index, count in counts.items():
            files, photographs[index] = photographs[index][:count], photographs[index][count:]
            write(unfinished / f"week{number}" / names[index], files, f"week{number}")
    for name, files in zip(names, tests, strict=True):
        write(unfinished / "test" / name, files, "test")
    unfinished.rename(out)


def encoded(tiny: Path, split: str, labels: list[int]) -> list[list[bytes]]:
    """Return the JPEG files of each label."""
    files: dict[int, list[bytes]] = {label: [] for label in labels}
    for shard in sorted(tiny.glob(f"{split}-*.parquet")):
        for row in pq.read_table(shard, filters=[("label", "in", list(files))]).to_pylist():
            files[row["label"]].append(row["image"]["bytes"])
    return list(files.values())


def write(folder: Path, files: list[bytes], name: str) -> None:
    """Write JPEG files into a new folder. Names of different weeks differ."""
    folder.mkdir(parents=True)
    for number, content in enumerate(files):
        (folder / f"{name}_{number:03d}.jpg").write_bytes(content)


def repeated(tiny: Path, out: Path, rows: Iterable[str]) -> str:
    """Return the command that measures all rows of this script's file again.

    Args:
        tiny: folder of parquet files.
        out: folder of the file.
        rows: names of the rows, such as ``hog, choice 0``.
    """
    methods = ",".join(dict.fromkeys(row.split(", ")[0] for row in rows))
    words = ["--tiny", tiny.name, "--out", str(out), "--methods", methods]
    return shlex.join(["python", sys.argv[0], *words])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("make", help="write the weeks and the test images")
    command.add_argument("out", type=Path, help="new folder for the photographs")
    command.add_argument("--tiny", type=Path, required=True, help="folder of parquet files")
    command.add_argument("--choice", type=int, default=0, choices=range(CHOICES), metavar="0..19")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"'{arguments.out}' exists: choose another folder")
    make(arguments.out, arguments.tiny, arguments.choice)


if __name__ == "__main__":
    main()
