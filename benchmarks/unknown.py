"""Compare scores that tell images of unknown classes from images of ten known ones.

    python benchmarks/unknown.py --photographs photographs/ --tiny tiny-imagenet/ \\
        --domains domains/ --out results/unknown

A learner with an SLDA head over a frozen backbone learns photographs of four weeks. Its folders
choice0, choice1, ... are made by ``benchmarks/photographs.py``. Each score is then compared on:

known: the test images of the ten classes.
near: validation images of other classes of Tiny-ImageNet.
letters, sprites, spectrograms: test images of ``benchmarks/domains.py``.
digits: the UCI digits, which scikit-learn contains.

The figure is the area under the ROC curve (AUROC): the probability that an unknown image has a
higher score than a known one. ``study.json`` has it for each score and choice. It also has the
share of images that the learner calls unknown at a stated rate of 5 % false alarms.
"""

import argparse
import io
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import Tensor

from lord.data import decode
from lord.learner import Learner
from lord.learner.images import matched
from lord.methods.closed_form import ClosedForm
from lord.methods.slda import shrunk
from lord.storage import write_text
from lord.training.folder import environment

SIDE, BACKBONE = 128, "efficientnet-lite0"
IMAGES, SEED, RATE = 500, 0, 0.05
FAR = ("letters", "sprites", "spectrograms")
NEIGHBOURS = 3
Pictures = list[tuple[str, Callable[[], bytes]]]


class Scores:
    """Scores of images for one learner. Higher is more likely unknown.

    head: the head that scores.
    """

    def __init__(self, head: ClosedForm) -> None:
        self.head, sums = head, head.sums
        self.means, rows = sums.means(), float(sums.counts.sum())
        self.all = sums.totals.sum(0) / rows
        self.centre = self.means.mean(0)
        self.within = torch.linalg.cholesky(shrunk(sums.within(), rows))
        total = sums.scatter / rows - torch.outer(self.all, self.all)
        self.total = torch.linalg.cholesky(shrunk(total, rows))

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Return the scores of N x 3 x H x W uint8 images by name."""
        parts = [self._of(part) for part in images.split(256)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _of(self, images: Tensor) -> dict[str, Tensor]:
        x, logits = self.head.features(images).double(), self.head.predict(images).double()
        white, class_means = self._white(x), self._white(self.means)
        distance = torch.cdist(white, class_means).min(1).values ** 2
        centre = self._white(self.centre[None])
        kept = torch.cdist(F.normalize(x, dim=1), F.normalize(self.head.kept["features"].double()))
        background = torch.linalg.solve_triangular(self.total, (x - self.all).T, upper=False)
        return {
            "largest probability": -logits.softmax(1).max(1).values,
            "energy": -logits.logsumexp(1),
            "Mahalanobis": distance,
            "relative Mahalanobis": distance - (background**2).sum(0),
            f"{NEIGHBOURS} nearest kept rows": kept.topk(NEIGHBOURS, largest=False).values[:, -1],
            "cosine": -_nearest(x, self.means),
            "centred cosine": -_nearest(x - self.centre, self.means - self.centre),
            "whitened centred cosine": -_nearest(white - centre, class_means - centre),
        }

    def _white(self, x: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.within, x.T, upper=False).T


def _nearest(x: Tensor, means: Tensor) -> Tensor:
    return (F.normalize(x, dim=1) @ F.normalize(means, dim=1).T).max(1).values


SUMS = (
    ("largest probability", "Mahalanobis"),
    ("energy", "Mahalanobis"),
    ("cosine", "whitened centred cosine"),
    ("cosine", "centred cosine", "whitened centred cosine"),
)
"""Scores that are also added, each standardised on the images kept."""


def with_sums(sets: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """Return the scores of each set of images with standardised sums of some of them."""
    held, out = sets["kept"], {}
    for name, scores in sets.items():
        z = {n: (s - held[n].mean()) / held[n].std() for n, s in scores.items()}
        added = {f"{' + '.join(names)}, standardised": sum(z[n] for n in names) for names in SUMS}
        plain = {"cosine + centred cosine (used)": scores["cosine"] + scores["centred cosine"]}
        out[name] = {**scores, **added, **plain}
    return out


def learned(photographs: Path) -> Learner:
    """Return a learner that has learned the four weeks."""
    learner = Learner(method="slda", backbone=BACKBONE, backbone_size=SIDE)
    for week in sorted(photographs.glob("week*")):
        files = sorted(week.glob("*/*"))
        learner.learn(pixels(read(files)), [file.parent.name for file in files])
    return learner


def read(files: list[Path]) -> Pictures:
    """Return files as the decoder takes them."""
    return [(str(file), file.read_bytes) for file in files]


def pixels(pictures: Pictures) -> Tensor:
    """Return pictures as N x C x 128 x 128 uint8."""
    return torch.from_numpy(decode(pictures, SIDE)).permute(0, 3, 1, 2).contiguous()


def other_classes(tiny: Path, known: list[str]) -> Pictures:
    """Return validation images of Tiny-ImageNet that are of no known class."""
    words = json.loads((tiny / "words.json").read_text())
    names = [words[wordnet].split(",")[0].replace(" ", "_") for wordnet in sorted(words)]
    rows = pq.read_table(tiny / "valid-00000-of-00001.parquet").to_pylist()
    # The first 1,500 images are shared by all choices, so that features are computed once.
    order = np.random.default_rng(SEED).permutation(len(rows))[: 3 * IMAGES]
    chosen = [rows[i]["image"]["bytes"] for i in order if names[rows[i]["label"]] not in known]
    return [(str(i), lambda b=content: b) for i, content in enumerate(chosen[:IMAGES])]


def some(things: list) -> list:
    """Return some of them, drawn at random."""
    return [things[i] for i in np.random.default_rng(SEED).permutation(len(things))[:IMAGES]]


def digits() -> Pictures:
    """Return UCI digits as PNG files."""
    files = []
    for values in some(list(load_digits().images)):
        file = io.BytesIO()
        Image.fromarray((values * 255 / 16).astype(np.uint8)).save(file, "PNG")
        files.append(file.getvalue())
    return [(str(i), lambda b=content: b) for i, content in enumerate(files)]


def measured(arguments: argparse.Namespace, choice: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return AUROC by score and set, and the learner's alarms by set, for a choice of classes."""
    photographs = arguments.photographs / f"choice{choice}"
    learner = learned(photographs)
    head = learner.method
    assert isinstance(head, ClosedForm)
    far = {name: sorted((arguments.domains / name / "test").glob("*/*")) for name in FAR}
    pictures = {
        "known": read(sorted((photographs / "test").glob("*/*"))),
        "near": other_classes(arguments.tiny, learner.classes),
        **{name: read(some(files)) for name, files in far.items()},
        "digits": digits(),
    }
    images = {name: matched(pixels(each), learner.shape[0]) for name, each in pictures.items()}
    score = Scores(head)
    sets = {name: score(each) for name, each in images.items()}
    sets["kept"] = score(learner.held_out.columns["images"])
    sets = with_sums(sets)
    areas = {
        name: {each: area(sets["known"][name], sets[each][name]) for each in list(images)[1:]}
        for name in sets["known"]
    }
    alarms = {}
    for name, each in images.items():
        found = [row.unknown or 0.0 for row in learner.predictions(each, unknown=True)]
        alarms[name] = float(np.mean(np.array(found) >= 1 - RATE))
    calibration = {"images": len(learner.known_scores())}
    return {"auroc": areas, "called unknown at 5 %": alarms, "calibration": calibration}


def area(known: Tensor, unknown: Tensor) -> float:
    """Return the area under the ROC curve."""
    labels = np.repeat([0, 1], [len(known), len(unknown)])
    return float(roc_auc_score(labels, torch.cat([known, unknown]).numpy()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True, help="folder with choice0, ...")
    parser.add_argument("--tiny", type=Path, required=True, help="folder of parquet files")
    parser.add_argument("--domains", type=Path, required=True, help="folder with letters, ...")
    parser.add_argument("--choices", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True, help="folder for study.json")
    arguments = parser.parse_args()
    rows = {str(choice): measured(arguments, choice) for choice in arguments.choices}
    origin = {"command": shlex.join(["python", *sys.argv]), "environment": environment()}
    study = {**origin, "choices": rows}
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_text(arguments.out / "study.json", json.dumps(study, indent=1))
    print(table(list(rows.values())))


def table(rows: list[dict[str, dict[str, dict[str, float]]]]) -> str:
    """Return mean and standard deviation over the choices, in Markdown."""
    sets = list(rows[0]["called unknown at 5 %"])
    lines = [f"| score | {' | '.join(sets[1:])} |", f"| --- |{' ---: |' * (len(sets) - 1)}"]
    for name in sorted(rows[0]["auroc"], key=lambda n: -sum(r["auroc"][n]["near"] for r in rows)):
        values = [[row["auroc"][name][each] for row in rows] for each in sets[1:]]
        cells = [f"{np.mean(v):.3f} ± {np.std(v, ddof=len(v) > 1):.3f}" for v in values]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", f"| called unknown, % | {' | '.join(sets)} |", f"| --- |{' ---: |' * len(sets)}"]
    values = [[100 * row["called unknown at 5 %"][each] for row in rows] for each in sets]
    cells = [f"{np.mean(v):.1f} ± {np.std(v, ddof=len(v) > 1):.1f}" for v in values]
    return "\n".join([*lines, f"| at 5 % false alarms | {' | '.join(cells)} |"])


if __name__ == "__main__":
    main()
