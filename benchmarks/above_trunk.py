"""Try what may still gain over a frozen backbone with ``slda``: three ideas.

    python benchmarks/above_trunk.py --data domains/sprites --seed 0 \
        --out results/pretrained/above-trunk/sprites-seed0.json

Latents of ``blocks.10`` are learned for one epoch. Each row is also fused with ``slda`` by the best
of 41 weights. They are tried on the test images, so the fused accuracy is an upper bound.

er-las: the whole network above the cut, as in ``lord run --cut blocks.10``.
moved: the same, with latents that are mirrored and moved by one cell at random.
mixed: the same, with each latent replaced by a random mean of two.
adapters: only low-rank terms beside the 1 x 1 convolutions, and the classifier, are trained.

``--student`` runs ``lord-fused`` instead, as it is and with its loss on the fused logits
(``rest``). An image's logits of the head are then those of a head that has learned the other half
of the images.
"""

import argparse
import json
import shlex
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.data import Augment, load_images
from lord.methods import METHODS
from lord.methods.context import Batch, Context
from lord.methods.er_las import ERLAS, ERLASConfig
from lord.methods.fused import LoRDFused
from lord.methods.method import AnyMethod, Scalars
from lord.methods.optim import Progress
from lord.methods.sums import Sums
from lord.methods.terms import class_shares
from lord.networks import head_name
from lord.storage import write_text
from lord.streams import Task
from lord.training import compose, run
from lord.training.folder import environment
from lord.training.setup import stream_of

CHUNK = 256
SHARED = {"tasks": 5, "order": "seeded", "width": 16, "threads": 1}
SHARED |= {"backbone": "efficientnet-lite0", "backbone_size": 64}
LATENTS = {"buffer": 500, "cut": "blocks.10", "epochs": 1, "optimizer": "sgd", "momentum": 0.9}
STUDENT = {"buffer": 500, "epochs": 2, "pace": 4}
WEIGHTS = [k / 20 for k in range(41)]
"""Weights of the learned network's log-probabilities beside those of ``slda``."""
RANK = 16


class Moved(ERLAS):
    """ER-LAS on latents that are mirrored and moved by up to one cell."""

    name = "moved"

    def __init__(self, config: ERLASConfig, context: Context) -> None:
        super().__init__(config, context)
        a = context.augment
        self.augment = Augment(a.mean, a.std, crop=1, flip=True, generator=a.generator)


class Mixed(ERLAS):
    """ER-LAS on random means of two latents (mixup, Zhang et al. 2018, with alpha 1)."""

    name = "mixed"

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        x, y, _ = self.joined(batch)
        share = torch.rand(1, generator=self.generator).to(x.device)
        other = torch.randperm(len(x), generator=self.generator).to(x.device)
        logits = self.student(share * x + (1 - share) * x[other])
        logits = logits + self.config.tau * class_shares(y, self.context.classes).log()
        loss = share * F.cross_entropy(logits, y) + (1 - share) * F.cross_entropy(logits, y[other])
        self.optimizer.update(loss.sum(), progress)
        self.buffer.offer(images=batch.images, labels=batch.labels)
        return {"loss": loss.detach().sum()}


class Beside(nn.Module):
    """A frozen 1 x 1 convolution plus a low-rank one, which starts at zero."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer
        rank = min(RANK, layer.in_channels, layer.out_channels)
        self.down = nn.Conv2d(layer.in_channels, rank, 1, bias=False)
        self.up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.up(self.down(x))


class Frozen(nn.Module):
    """A network whose batch-norm layers stay in evaluation mode."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def train(self, mode: bool = True) -> "Frozen":
        super().train(mode)
        for layer in self.network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        return self


class Adapters(ERLAS):
    """ER-LAS that trains low-rank terms and the classifier."""

    name = "adapters"

    def __init__(self, config: ERLASConfig, context: Context) -> None:
        network = context.network.requires_grad_(False)
        network.get_submodule(head_name(network)).requires_grad_(True)
        for name, layer in list(network.named_modules()):
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1:
                network.set_submodule(name, Beside(layer))
        super().__init__(config, replace(context, network=Frozen(network)))


class Rest(LoRDFused):
    """``lord-fused`` whose student learns what the head leaves: its loss is on the fused logits."""

    name = "rest"

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        width = self.head.head.in_features
        self.halves = [Sums(self.context.classes, width) for _ in range(2)]
        self.heads: list[tuple[Tensor, Tensor]] = []
        self.known: dict[int, tuple[int, Tensor]] = {}
        """Half and features of each image, by its checksum as the student gets it."""

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        for images, labels in zip(task.images.split(CHUNK), task.labels.split(CHUNK), strict=True):
            with torch.no_grad():
                features = self.head.features(images).cpu()
            keys = _keys(self.small(images))
            halves = torch.tensor([key % 2 for key in keys])
            self.known |= {k: (k % 2, f) for k, f in zip(keys, features, strict=True)}
            for half in (0, 1):
                rows = halves == half
                self.halves[half].add(features[rows], labels.cpu()[rows])
        candidate, temperature = self.head._choices()
        fitted = [self.head.fit(sums, candidate) for sums in self.halves]
        self.heads = [(w / temperature, b / temperature) for w, b in fitted]

    def _head_of(self, images: Tensor) -> Tensor:
        """Return log-probabilities of a head that has not learned the images."""
        found = [self.known[key] for key in _keys(images)]
        features = torch.stack([each for _, each in found]).double()
        halves = torch.tensor([half for half, _ in found])[:, None]
        (w0, b0), (w1, b1) = self.heads
        logits = torch.where(halves == 0, features @ w1.T + b1, features @ w0.T + b0)
        return self._seen(logits.float()).log_softmax(1)

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        plain, offsets = self.augment, list[Tensor]()

        def noting(images: Tensor) -> Tensor:
            offsets.append(self._head_of(images))
            return plain(images)

        def fused(_: nn.Module, inputs: Any, out: Tensor) -> Tensor:
            return out + torch.cat(offsets).to(out.device).clamp(min=-30)

        self.augment = noting  # type: ignore[assignment]
        hook = self.student.register_forward_hook(fused)
        try:
            return super().step(batch, progress)
        finally:
            hook.remove()
            self.augment = plain


def _keys(images: Tensor) -> list[int]:
    return [zlib.crc32(image.contiguous().numpy().data) for image in images.cpu()]


def trained(method: type[AnyMethod], settings: dict[str, Any], seed: int) -> SimpleNamespace:
    """Run a method. Return its record, and its log-probabilities and the labels of test images."""
    kept: list[AnyMethod] = []

    class Kept(method):  # type: ignore[misc, valid-type]
        def __init__(self, *values: Any) -> None:
            super().__init__(*values)
            kept[:] = [self]

    base = method.name if method.name in METHODS else "er-las"
    base = "lord-fused" if issubclass(method, LoRDFused) else base
    recipe = METHODS[base]
    METHODS[base] = replace(recipe, method=Kept)
    try:
        config = compose(base, settings, seed=seed)
        record = run(config)
    finally:
        METHODS[base] = recipe
    tasks = stream_of(config, load_images(config.data)).test
    turn: Callable[[Tensor], Tensor] = kept[0].context.latents or (lambda images: images)
    parts = [part for task in tasks for part in task.images.split(CHUNK)]
    logits = torch.cat([kept[0].predict(turn(part)).float().cpu() for part in parts])
    labels = torch.cat([task.labels for task in tasks])
    return SimpleNamespace(record=record, logits=logits.log_softmax(1), labels=labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="data set, as 'lord run' knows it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.003], help="learning rates")
    parser.add_argument("--student", action="store_true", help="run lord-fused")
    parser.add_argument("--only", nargs="+", help="names of the methods to run")
    parser.add_argument("--out", type=Path, required=True, help="file for the results")
    given = parser.parse_args()
    settings = {"data": given.data} | SHARED
    head = trained(METHODS["slda"].method, settings, given.seed)
    rows = [{"method": "slda", **_row(head)}]
    print(rows[0], flush=True)
    methods = (LoRDFused, Rest) if given.student else (ERLAS, Moved, Mixed, Adapters)
    for method in methods:
        for rate in [None] if given.student else given.rates:
            if given.only and method.name not in given.only:
                continue
            extra = STUDENT if given.student else {**LATENTS, "lr": rate}
            result = trained(method, settings | extra, given.seed)
            row = {"method": method.name, "lr": rate, **_row(result)}
            if not given.student:
                fused = [_accuracy(head.logits + w * result.logits, head.labels) for w in WEIGHTS]
                row |= {"fused": max(fused), "weight": WEIGHTS[fused.index(max(fused))]}
            rows.append(row)
            print(row, flush=True)
    command = shlex.join(["python", *sys.argv])
    written = {"command": command, "environment": environment(), "rows": rows}
    write_text(given.out, json.dumps(written, indent=1) + "\n")


def _row(result: SimpleNamespace) -> dict[str, float]:
    record = result.record
    return {
        "class_il": record.class_il,
        "accuracy": _accuracy(result.logits, result.labels),
        "training_flops": record.training_flops,
    }


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return round(100 * float((logits.argmax(1) == labels.cpu()).double().mean()), 2)


if __name__ == "__main__":
    main()
