"""Describe how each network family grows, and compare methods on some of them.

    python benchmarks/networks.py --data cifar10/ --out results/networks

Writes each family's channel groups and its FLOPs at each level. Then trains on CIFAR-10: lord and
der++ use the protocol's optimizer; lord+ and logit-adjusted der++ use that of lord+.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

import torch

from lord.channels import trace
from lord.methods.lord import LORD_PLUS
from lord.networks import NETWORKS, NetworkConfig, build_network
from lord.storage import write_text
from lord.student import Ladder
from lord.studies import compare
from lord.training import compose
from lord.training.folder import environment

OPTIMIZER = {
    name: LORD_PLUS[name] for name in ("optimizer", "lr", "momentum", "weight_decay", "schedule")
}
"""The optimizer of ``lord+``."""
WIDTHS = {"mlp": 64, "bottleneck": 8, "squeeze": 8, "vit": 32}
"""Widths of the families for which 16 is too wide or too narrow."""
RIVALS: tuple[tuple[tuple[str, str], dict[str, object]], ...] = (
    (("der++", "lord"), {}),
    (("der++:tau=1", "lord+"), OPTIMIZER),
)


def table() -> dict[str, dict[str, object]]:
    """Return each family's groups, and the FLOPs of each level as a share of the full width's."""
    rows = {}
    for name in NETWORKS:
        network = build_network(
            NetworkConfig(network=name, width=WIDTHS.get(name, 16)), classes=10, channels=3
        )
        channels = trace(network, torch.zeros(2, 3, 32, 32))
        ladder = Ladder.for_network(channels, classes=10)
        whole = channels.flops(channels.full)
        rows[name] = {
            "width": WIDTHS.get(name, 16),
            "parameters": channels.parameters(channels.full),
            "groups": len(channels.groups),
            "FLOPs": whole,
            "levels": [
                round(channels.flops(ladder.counts(level)) / whole, 3)
                for level in range(1, ladder.top + 1)
            ],
        }
    return rows


def train(name: str, width: object, arguments: argparse.Namespace) -> dict[str, object]:
    """Train all methods on one network; return their accuracies over seeds and their FLOPs."""
    rows: dict[str, object] = {}
    for methods, optimizer in RIVALS:
        settings = {"data": arguments.data, "network": name, "width": width, **optimizer}
        settings |= {"subset": 0.1, "epochs": arguments.epochs, "buffer": 500, "threads": 1}
        configs = [
            compose(method, settings, preset="s-cifar10", seed=seed, beside=methods)
            for seed in range(3)
            for method in methods
        ]
        records = compare(configs, arguments.out / "runs" / name, jobs=arguments.jobs)
        for method in methods:
            runs = [record for record in records if record.label == method]
            rows[method] = {
                "class_il": [round(run.class_il, 1) for run in runs],
                "class_il_recomputed": [round(run.class_il_recomputed or 0, 1) for run in runs],
                "task_il": [round(run.task_il, 1) for run in runs],
                "flops": runs[0].training_flops,
            }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10, in any layout")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--networks",
        default="vgg,mobilenet,densenet,convnext,vit,mlp",
        help="families to train (comma-separated)",
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=0, help="runs at a time; 0 for one per core")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = table()
    origin = {"command": shlex.join(["python", *sys.argv]), "environment": environment()}
    for name in arguments.networks.split(","):
        rows[name] |= train(name, rows[name]["width"], arguments)
        text = json.dumps(rows | origin, indent=1)
        write_text(arguments.out / "networks.json", text + "\n")


if __name__ == "__main__":
    main()
