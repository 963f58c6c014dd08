"""A method of ours inside a loop of yours: three calls, no files, no command.

    python examples/own_loop.py

Anything that yields uint8 images and labels will do for a stream. ``method.step`` makes its own
update; what it returns stays on the device.
"""

import torch

from lord.costs import Meter
from lord.data import DataConfig, load_images
from lord.methods import Batch
from lord.streams import StreamConfig, make_stream
from lord.training import compose, make_method

config = compose("lord+", {"width": 16, "epochs": 8}, preset="digits")
images = load_images(DataConfig())
stream = make_stream(images, StreamConfig(tasks=5), seed=0)
method, stream = make_method(config, images, stream, torch.device("cpu"))

with Meter() as meter:  # counts FLOPs and seconds of whatever happens inside a phase
    for task in stream.train:
        method.begin_task(task)
        for _ in range(config.training.epochs):
            for rows in torch.randperm(len(task.labels)).split(32):
                with meter.phase("step"):
                    method.step(Batch(task.images[rows], task.labels[rows], rows))
        method.end_task(task)
        seen = stream.test[: task.index + 1]
        right = [(method.predict(t.images).argmax(1) == t.labels).float().mean() for t in seen]
        print(f"task {task.index + 1}: {100 * sum(right) / len(right):.1f} %")
print(f"{meter.flops['step']:.3g} FLOPs in {meter.seconds['step']:.1f} s")
