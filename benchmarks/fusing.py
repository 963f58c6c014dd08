"""Compare ways to fuse a closed-form head with a student, on images that neither has learned.

    python benchmarks/fusing.py --data domains/sprites --tasks 5 --epochs 8 --seed 0 \
        --out results/pretrained/sprites/fusing.json

``lord-fused`` learns the data set with EfficientNet-Lite0 at 64 x 64 pixels. After the last task,
each way is fitted to the images that it kept from the student, and tested on the test images. The
file has the accuracy in percent and the cross-entropy of each way.

two weights: weights of the head's and the student's log-probabilities, as ``lord-fused`` does it.
biases: the same, and a bias for each class.
a class each: two weights and a bias for each class.
logistic regression: of the class on the log-probabilities of both.

The last three start from the two weights. ``pull`` is the strength with which they are held there.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.data import load_images
from lord.methods import METHODS
from lord.methods.fused import LoRDFused
from lord.methods.fusion import fit_fusion
from lord.methods.lord import LoRD
from lord.storage import write_text
from lord.streams import Task
from lord.training import compose, run
from lord.training.folder import environment
from lord.training.setup import stream_of

LOWEST = -20.0
"""Log-probabilities below it are raised to it for logistic regression."""
PULLS = (1.0, 10.0, 100.0)
Ways = dict[str, Callable[[Tensor, Tensor], Tensor]]


class Recorded(LoRDFused):
    """``lord-fused`` that notes what head and student say of the images kept."""

    trained: "list[Recorded]" = []

    def end_task(self, task: Task) -> None:
        super().end_task(task)
        self.said = self._on_kept()
        self.trained[:] = [self]

    @torch.no_grad()
    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities of head and student for images."""
        head = self._seen(self.head.predict(images)).log_softmax(1)
        student = self._seen(LoRD.predict(self, self.small(images))).log_softmax(1)
        return head, student


def ways(head: Tensor, student: Tensor, labels: Tensor) -> Ways:
    """Return each way to fuse, fitted to some images.

    Args:
        head, student: N x classes log-probabilities.
        labels: N int64.
    """
    fused, classes = fit_fusion(head, student, labels), head.shape[1]
    found: Ways = {"head": lambda a, b: a, "student": lambda a, b: b, "two weights": fused}
    found["sum of log-probabilities"] = lambda a, b: a + b
    found["sum of probabilities"] = lambda a, b: (a.exp() + b.exp()).log()
    each, none, identity = torch.ones(classes), torch.zeros(classes), torch.eye(classes)
    general: dict[str, tuple[list[Tensor], Callable[..., Tensor]]] = {
        "biases": (
            [torch.tensor(fused.head), torch.tensor(fused.student), none],
            lambda a, b, p, q, bias: p * a + q * b + bias,
        ),
        "a class each": (
            [fused.head * each, fused.student * each, none],
            lambda a, b, p, q, bias: p * a + q * b + bias,
        ),
        "logistic regression": (
            [fused.head * identity, fused.student * identity, none],
            lambda a, b, p, q, bias: a.clamp(min=LOWEST) @ p.T + b.clamp(min=LOWEST) @ q.T + bias,
        ),
    }
    for name, (start, combine) in general.items():
        for pull in PULLS:
            fitted = fit(start, combine, (head, student, labels), pull)
            found[f"{name}, pull {pull:g}"] = lambda a, b, f=fitted, c=combine: c(  # type: ignore[misc]
                a.double(), b.double(), *f
            )
    return found


def fit(
    start: list[Tensor],
    combine: Callable[..., Tensor],
    images: tuple[Tensor, Tensor, Tensor],
    pull: float,
) -> list[Tensor]:
    """Return the parameters with the lowest cross-entropy, pulled to where they start."""
    head, student, labels = images[0].double(), images[1].double(), images[2]
    values = [each.double().clone().requires_grad_() for each in start]
    optimizer = torch.optim.LBFGS(values, max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(combine(head, student, *values), labels)
        for value, begin in zip(values, start, strict=True):
            loss = loss + pull / len(labels) * ((value - begin.double()) ** 2).sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    return [value.detach() for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="data set, as 'lord run' knows it")
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subset", type=float, default=1.0)
    parser.add_argument("--out", type=Path, required=True, help="file for the results")
    arguments = parser.parse_args()
    settings = {"data": arguments.data, "tasks": arguments.tasks}
    settings |= {"epochs": arguments.epochs, "subset": arguments.subset, "order": "seeded"}
    settings |= {"backbone": "efficientnet-lite0", "backbone_size": 64, "width": 16, "pace": 4}
    settings |= {"threads": 1, "buffer": 500}
    METHODS["lord-fused"] = replace(METHODS["lord-fused"], method=Recorded)
    config = compose("lord-fused", settings, seed=arguments.seed)
    record = run(config)
    (method,) = Recorded.trained
    tasks = stream_of(config, load_images(config.data)).test
    labels = torch.cat([task.labels for task in tasks])
    head, student = (
        torch.cat(each) for each in zip(*(method.both(task.images) for task in tasks), strict=True)
    )
    rows = {}
    for name, way in ways(*method.said).items():
        logits = way(head, student)
        loss = float(F.cross_entropy(logits, labels))
        accuracy = 100 * float((logits.argmax(1) == labels).double().mean())
        rows[name] = {"accuracy": round(accuracy, 2), "cross_entropy": round(loss, 4)}
        print(f"{name:30} {accuracy:6.2f} {loss:8.4f}")
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "environment": environment(),
        "kept": len(method.said[2]),
        "tests": len(labels),
        "class_il": record.class_il,
        "training_flops": record.training_flops,
        "ways": rows,
    }
    write_text(arguments.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
