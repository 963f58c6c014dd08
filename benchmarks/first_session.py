"""Adapt a pretrained network to the first session, then freeze it: is SLDA better on top?

    python benchmarks/first_session.py --data domains/sprites --tasks 5 --out sprites.json

Panos et al. (2023) adapt a network to the first session and freeze it for all later ones. Here the
scales and shifts of batch norm in EfficientNet-Lite0 learn the classes of the first task, under a
linear layer that is dropped afterwards. Statistics of batch norm stay those of ImageNet. SLDA then
learns all tasks. It has the shrinkage of Oracle Approximating Shrinkage alone. The file has its
accuracy in percent with the adapted network and with the network as it was.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.backbone import Backbone, BackboneConfig
from lord.data import DataConfig, ImageData, load_images
from lord.methods.slda import SLDA
from lord.methods.sums import Sums
from lord.storage import write_text
from lord.training.folder import environment

SIZE, BATCH, EPOCHS, RATES = 64, 32, 3, (3e-4, 1e-3, 3e-3)
"""Side in pixels, images in a step, passes over the first session, and learning rates of Adam."""


def features(backbone: Backbone, images: Tensor) -> Tensor:
    """Return the features of N x C x H x W uint8 images, N x D."""
    with torch.no_grad():
        parts = [backbone.network(backbone.prepared(part)).flatten(1) for part in images.split(128)]
    return torch.cat(parts)


def adapt(backbone: Backbone, images: Tensor, labels: Tensor, rate: float, seed: int) -> None:
    """Train scales and shifts of batch norm on the images of the first session."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    norms = [each for each in backbone.network.modules() if isinstance(each, nn.BatchNorm2d)]
    values = [value.requires_grad_() for each in norms for value in (each.weight, each.bias)]
    linear = nn.Linear(int(torch.Size(backbone.shape).numel()), int(labels.max()) + 1)
    optimizer = torch.optim.Adam([*values, *linear.parameters()], lr=rate)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(labels), generator=generator).split(BATCH):
            seen = backbone.network(backbone.prepared(images[rows])).flatten(1)
            loss = F.cross_entropy(linear(seen), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def accuracy(backbone: Backbone, data: ImageData) -> float:
    """Return the accuracy of SLDA over a network, in percent of the test images."""
    found = features(backbone, data.train_images)
    sums = Sums(len(data.classes), found.shape[1])
    sums.add(found, data.train_labels)
    weight, bias = SLDA.fit(None, sums, 0.0)  # type: ignore[arg-type]
    logits = features(backbone, data.test_images).double() @ weight.T + bias
    return round(100 * float((logits.argmax(1) == data.test_labels).float().mean()), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load_images(DataConfig(data=given.data))
    first = data.train_labels < len(data.classes) // given.tasks
    result = {"command": shlex.join(["python", *sys.argv]), "environment": environment()}
    config = BackboneConfig(backbone="efficientnet-lite0", backbone_size=SIZE)
    found = {"as it was": accuracy(Backbone(config, SIZE), data)}
    for rate in RATES:
        backbone = Backbone(config, SIZE)
        adapt(backbone, data.train_images[first], data.train_labels[first], rate, given.seed)
        found[f"adapted, learning rate {rate:g}"] = accuracy(backbone, data)
        print(found, flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(given.out, json.dumps(result | {"accuracy": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
