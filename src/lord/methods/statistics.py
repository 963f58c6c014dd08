"""Batch-norm statistics recomputed on the buffer."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from lord.methods.method import Method


@contextmanager
def recomputed_statistics(method: Method, batch: int = 32) -> Iterator[None]:
    """Inside, the predictor's running statistics are the mean over batches of the whole buffer.

    The images are taken as they were stored, not augmented, as test images are. Afterwards the
    statistics are as training left them, and so they stay where the buffer holds no two images.
    Costs one forward pass of the buffer.
    """
    network = method.predictor
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    kept = [{k: v.clone() for k, v in layer.named_buffers()} for layer in layers]
    momenta = [layer.momentum for layer in layers]
    assert method.buffer is not None
    if len(method.buffer) < 2:
        yield
        return
    images = method.buffer.columns["images"][: len(method.buffer)]
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain mean over all batches
        network.train()
        with torch.no_grad():
            for part in images.split(batch):
                if len(part) > 1:
                    network(method.augment.normalise(part))
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        yield
    finally:
        for layer, momentum, buffers in zip(layers, momenta, kept, strict=True):
            layer.momentum = momentum
            for name, value in buffers.items():
                getattr(layer, name).copy_(value)
