"""The network table: groups found, FLOPs level by level, accuracy on a real stream.

python benchmarks/networks.py --data cifar10/ --out results/networks

lord against der++ under the protocol's optimizer, lord+ against logit-adjusted der++ under lord+'s.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

import torch

from lord.channels import trace
from lord.methods.lord_plus import OPTIMIZER
from lord.networks import NETWORKS, NetworkConfig, build_network
from lord.storage import write_text
from lord.student import Ladder
from lord.studies import compare
from lord.training import compose
from lord.training.folder import environment

WIDTHS = {"mlp": 64, "bottleneck": 8, "squeeze": 8, "vit": 32}
"""Where 16 would be too much or too little."""
RIVALS: tuple[tuple[tuple[str, str], dict[str, object]], ...] = (
    (("der++", "lord"), {}),
    (("der++:tau=1", "lord+"), OPTIMIZER),
)


def table() -> dict[str, dict[str, object]]:
    """Of each network: its groups, and the FLOPs of each level as a share of the whole."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="CIFAR-10, any layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--networks", default="vgg,mobilenet,densenet,convnext,vit,mlp")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=0, help="runs at a time; 0 for one a core")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows, table_file = table(), options.out / "networks.json"
    told = {"command": shlex.join(["python", *sys.argv]), "environment": environment()}
    for name in options.networks.split(","):
        for methods, optimizer in RIVALS:
            given = {"data": options.data, "network": name, "width": rows[name]["width"]}
            given |= {"subset": 0.1, "epochs": options.epochs, "buffer": 500, "threads": 1}
            configs = [
                compose(method, given | optimizer, preset="s-cifar10", seed=seed, beside=methods)
                for seed in range(3)
                for method in methods
            ]
            records = compare(configs, options.out / "runs" / name, jobs=options.jobs)
            for method in methods:
                own = [r for r in records if r.label == method]
                rows[name][method] = {
                    "class_il": [round(r.class_il, 1) for r in own],
                    "class_il_recomputed": [round(r.class_il_recomputed or 0, 1) for r in own],
                    "task_il": [round(r.task_il, 1) for r in own],
                    "flops": own[0].training_flops,
                }
        write_text(table_file, json.dumps(rows | told, indent=1) + "\n")


if __name__ == "__main__":
    main()
