"""Use a method in your own training loop: three calls, no files, no command line.

    python examples/own_loop.py

Any source of uint8 images and labels can be the stream. ``method.step`` updates the student and
returns tensors, which stay on the device.
"""

import torch

from lord.costs import Meter
from lord.data import DataConfig, load_images
from lord.methods import Batch, Progress
from lord.streams import StreamConfig, make_stream
from lord.training import compose, make_method

config = compose("lord+", {"width": 16, "epochs": 8}, preset="digits")
images = load_images(DataConfig())
stream = make_stream(images, StreamConfig(tasks=5), seed=0)
method, stream = make_method(config, images, stream, torch.device("cpu"))

with Meter() as meter:  # counts FLOPs and seconds within each phase
    for task in stream.train:
        method.begin_task(task)
        epochs = [torch.randperm(len(task.labels)).split(32) for _ in range(config.training.epochs)]
        steps = [rows for epoch in epochs for rows in epoch]
        for done, rows in enumerate(steps):
            with meter.phase("step"):
                batch = Batch(task.images[rows], task.labels[rows], rows)
                method.step(batch, Progress(done, len(steps)))
        method.end_task(task)
        seen = stream.test[: task.index + 1]
        correct = [(method.predict(t.images).argmax(1) == t.labels).float().mean() for t in seen]
        print(f"task {task.index + 1}: {100 * sum(correct) / len(correct):.1f} %")
print(f"{meter.flops['step']:.3g} FLOPs in {meter.seconds['step']:.1f} s")
