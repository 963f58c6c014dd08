"""Make photographs that arrive over four weeks: ten classes of Tiny-ImageNet as JPEG folders.

    python benchmarks/photographs.py make photographs/ --tiny tiny-imagenet/ --choice 0

Writes week1/CLASS to week4/CLASS and test/CLASS. The first week has four classes and 600 images.
Each later week has two new classes and a few more images of old ones. In the end there are 1,639
images. One class has only 39. The test folder has 50 images of each of the ten classes. The JPEG
files are those of the data set, unchanged. A class is named after the first of its words.

``--choice`` chooses the ten classes. Different choices have no class in common. ImageNet contains
all of these classes, so weights trained on it have seen them.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

SEED = 0
CLASSES = 10
"""Classes of one choice. Tiny-ImageNet has 200, so there are 20 choices."""
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
    order = np.random.default_rng(SEED).permutation(len(words))
    labels = order[choice * CLASSES : (choice + 1) * CLASSES]
    wordnet = sorted(words)  # in the order of the labels
    names = [words[wordnet[label]].split(",")[0].replace(" ", "_") for label in labels]
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


def encoded(tiny: Path, split: str, labels: np.ndarray) -> list[list[bytes]]:
    """Return the JPEG files of each label."""
    files: dict[int, list[bytes]] = {int(label): [] for label in labels}
    for shard in sorted(tiny.glob(f"{split}-*.parquet")):
        for row in pq.read_table(shard, filters=[("label", "in", list(files))]).to_pylist():
            files[row["label"]].append(row["image"]["bytes"])
    return list(files.values())


def write(folder: Path, files: list[bytes], name: str) -> None:
    """Write JPEG files into a new folder. Names of different weeks differ."""
    folder.mkdir(parents=True)
    for number, content in enumerate(files):
        (folder / f"{name}_{number:03d}.jpg").write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("make", help="write the weeks and the test images")
    command.add_argument("out", type=Path, help="new folder for the photographs")
    command.add_argument("--tiny", type=Path, required=True, help="folder of parquet files")
    command.add_argument("--choice", type=int, default=0, choices=range(20), metavar="0..19")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"'{arguments.out}' exists: choose another folder")
    make(arguments.out, arguments.tiny, arguments.choice)


if __name__ == "__main__":
    main()
