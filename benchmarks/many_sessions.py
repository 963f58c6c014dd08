"""Learn 200 classes in 100 sessions with a closed-form head: time and memory of each session.

python benchmarks/many_sessions.py --data tiny-imagenet --out results/pretrained/many_sessions.json
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from lord import Learner
from lord.backbone import Backbone, BackboneConfig
from lord.data import DataConfig, load_images
from lord.storage import write_text
from lord.training.folder import environment

SESSIONS, IMAGES, SIZE = 100, 20, 64
"""Sessions of two new classes each, images of a class in a session, side in pixels."""


def sessions(data: str) -> tuple[list[dict[str, float]], float, float]:
    """Return figures of each session, and two accuracies after the last.

    The accuracies are that of the learner, and that of one that gets all images in one session.
    """
    images = load_images(DataConfig(data=data))
    settings = {"method": "slda", "backbone": "efficientnet-lite0", "backbone_size": SIZE}
    learner, rows, found = Learner(**settings), [], []
    scored = torch.from_numpy(np.arange(0, len(images.test_labels), 10))
    for number in range(SESSIONS):
        chosen = torch.cat(
            [
                (images.train_labels == label).nonzero().flatten()[:IMAGES]
                for label in (2 * number, 2 * number + 1)
            ]
        )
        names = [images.classes[label] for label in images.train_labels[chosen].tolist()]
        start = time.process_time()
        learner.learn(images.train_images[chosen].contiguous(), names)
        seconds = time.process_time() - start
        sums = sum(each.nbytes for each in vars(learner.method.sums).values())
        with tempfile.TemporaryDirectory() as folder:
            learner.save(Path(folder) / "state")
            size = (Path(folder) / "state").stat().st_size
        row = {"classes": len(learner.classes), "cpu_s": seconds, "sums": sums, "file": size}
        found.append(row)
        rows.append((chosen, names))
    test = images.test_images[scored].contiguous()
    labels = [images.classes[label] for label in images.test_labels[scored].tolist()]
    whole = Learner(**settings)
    whole.learn(
        images.train_images[torch.cat([chosen for chosen, _ in rows])].contiguous(),
        [name for _, names in rows for name in names],
    )
    return found, learner.evaluate(test, labels), whole.evaluate(test, labels)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found, session_by_session, at_once = sessions(str(arguments.data))
    backbone = Backbone(BackboneConfig(backbone="efficientnet-lite0", backbone_size=SIZE), SIZE)
    record = {
        "command": f"python benchmarks/many_sessions.py --data {arguments.data.name} "
        f"--out {arguments.out}",
        "environment": environment(),
        "images a session": 2 * IMAGES,
        "flops an image": backbone.flops,
        "accuracy session by session": session_by_session,
        "accuracy in one session": at_once,
        "sessions": found,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.out, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
