"""List the models of torchvision and timm that can grow and be pruned, and why others cannot.

    python benchmarks/libraries.py --out results/networks

Needs torchvision and timm.
"""

import argparse
import json
import shlex
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import torch

from lord.channels import trace
from lord.config import UserError
from lord.networks import NetworkConfig, build_network
from lord.storage import write_text

TORCHVISION = (
    *("alexnet", "vgg16_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2"),
    *("densenet121", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "squeezenet1_1"),
    *("shufflenet_v2_x0_5", "mnasnet0_5", "regnet_x_400mf", "convnext_tiny", "googlenet"),
    *("vit_b_16", "swin_t"),
)
TIMM = (
    *("resnet18", "resnet18d", "resnet50", "seresnet18", "densenet121", "mobilenetv2_100"),
    *("mobilenetv3_small_100", "efficientnet_b0", "convnext_atto", "vit_tiny_patch16_224"),
    *("deit_tiny_patch16_224", "mixer_s32_224", "repvgg_a0", "ghostnet_100"),
)
LARGE = ("vit", "deit", "mixer")
"""Models with these words in their names accept only images of 224 pixels."""


def describe(name: str) -> dict[str, object]:
    """Return a model's channel groups and its FLOPs at half of the channels, or the error."""
    side = 224 if any(word in name for word in LARGE) else 96
    try:
        network = build_network(NetworkConfig(network=name), classes=4, channels=3)
        channels = trace(network, torch.randn(2, 3, side, side))
    except UserError as error:
        return {"refused": str(error)}
    half = [(group.size + 1) // 2 for group in channels.groups]
    share = channels.flops(half) / channels.flops(channels.full)
    return {"groups": len(channels.groups), "FLOPs at half the channels": round(share, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    rows: dict[str, dict[str, object]] = {}
    for name in [f"torchvision:{m}" for m in TORCHVISION] + [f"timm:{m}" for m in TIMM]:
        rows[name] = describe(name)
        print(name, rows[name], flush=True)
    accepted = sum("groups" in row for row in rows.values())
    versions = {package: version(package) for package in ("torch", "torchvision", "timm")}
    result = {"taken": accepted, "of": len(rows), "models": rows, "versions": versions}
    result["command"] = shlex.join(["python", *sys.argv])
    write_text(arguments.out / "libraries.json", json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
