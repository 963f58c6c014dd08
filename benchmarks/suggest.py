"""Compare labelling the images that a learner suggests with labelling as many at random.

    python benchmarks/suggest.py --photographs photographs/ --out results/suggest

A learner with an SLDA head over a frozen backbone learns a few photographs. Then 50 of the others
are labelled and learned: those of ``lord suggest``, or 50 at random. The figure is the accuracy on
the test images of all ten classes. The folders choice0, choice1, ... are made by
``benchmarks/photographs.py``. There are three situations:

new classes: 200 images of the four classes of the first week are learned, and the pool holds the
    images of later weeks, with six more classes.
4 a class, 15 a class: so many images of each of the ten classes are learned.
"""

import argparse
import copy
import json
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from lord.data import decode
from lord.learner import Learner
from lord.maintenance import suggest_images
from lord.storage import write_text
from lord.training.folder import environment

SIDE, COUNT, POOL, DRAWS = 128, 50, 800, 2
SITUATIONS = ("new classes", "4 a class", "15 a class")


def pixels(files: list[Path]) -> torch.Tensor:
    decoded = decode([(str(file), file.read_bytes) for file in files], SIDE)
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous()


def learn(learner: Learner, files: list[Path]) -> None:
    learner.learn(pixels(files), [file.parent.name for file in files])


def split(files: list[Path], situation: str, source: np.random.Generator) -> list[list[Path]]:
    """Return the images that are learned first, and those to choose from."""
    order = [files[row] for row in source.permutation(len(files))]
    if situation == "new classes":
        first = [file for file in order if file.parent.parent.name == "week1"][:200]
        rest = [file for file in order if file.parent.parent.name != "week1"]
    else:
        most, counts, first = int(situation.split()[0]), dict[str, int](), []
        for file in order:
            name = file.parent.name
            counts[name] = counts.get(name, 0) + 1
            if counts[name] <= most:
                first.append(file)
        rest = [file for file in order if file not in set(first)]
    return [first, rest[:POOL]]


def suggested(learner: Learner, pool: list[Path]) -> list[Path]:
    """Return the images that ``lord suggest`` chooses from a folder without labels."""
    with tempfile.TemporaryDirectory() as folder:
        for row, file in enumerate(pool):
            (Path(folder) / f"{row}{file.suffix}").symlink_to(file.resolve())
        chosen = suggest_images(learner, Path(folder), COUNT).chosen
    return [pool[int(Path(each.file).stem)] for each in chosen]


def compare(choice: Path, situation: str, seed: int) -> dict[str, object]:
    """Return accuracies before and after 50 images are labelled."""
    source = np.random.default_rng(seed)
    first, pool = split(sorted(choice.glob("week*/*/*.jpg")), situation, source)
    learner = Learner(method="slda", backbone="efficientnet-lite0", backbone_size=SIDE)
    learn(learner, first)
    tests = sorted(choice.glob("test/*/*.jpg"))
    images, labels = pixels(tests), [file.parent.name for file in tests]
    row: dict[str, object] = {"choice": choice.name, "situation": situation, "seed": seed}
    row["before"] = 100 * learner.score(images, labels)
    picks = [suggested(learner, pool)]
    picks += [list(source.permutation(np.array(pool))[:COUNT]) for _ in range(DRAWS)]
    after = []
    for files in picks:
        twin = copy.deepcopy(learner)
        learn(twin, files)
        after.append(100 * twin.score(images, labels))
    row |= {"suggested": after[0], "random": after[1:]}
    return row


def table(rows: list[dict]) -> str:
    """Return the means over choices and seeds, and in how many cases suggestions were better."""
    lines = ["| learned first | before | 50 at random | 50 suggested | better in |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for situation in SITUATIONS:
        some = [row for row in rows if row["situation"] == situation]
        chance = np.array([np.mean(row["random"]) for row in some])
        mine = np.array([row["suggested"] for row in some])
        before = np.mean([row["before"] for row in some])
        cells = [situation, f"{before:.1f}"]
        cells += [f"{each.mean():.1f} ± {each.std(ddof=1):.1f}" for each in (chance, mine)]
        cells.append(f"{int((mine > chance).sum())} of {len(some)}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--choices", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "benchmarks/suggest.py", *sys.argv[1:]])
    rows: list[dict] = []
    for seed in range(arguments.seeds):
        for choice in sorted(arguments.photographs.glob("choice*"))[: arguments.choices]:
            rows += [compare(choice, situation, seed) for situation in SITUATIONS]
            study = {"command": command, "environment": environment(), "rows": rows}
            write_text(arguments.out / "study.json", json.dumps(study, indent=1))
            print(f"{choice.name}, seed {seed}", flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
