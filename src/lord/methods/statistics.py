"""Batch-norm statistics recomputed on the buffer, or on other images."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lord.methods.method import Method


@contextmanager
def recomputed_statistics(method: Method, batch: int = 32) -> Iterator[None]:
    """Inside, the predictor's running statistics are the mean over batches of the whole buffer.

    The images are taken as they were stored, not augmented, as test images are. Afterwards the
    statistics are as training left them, and so they stay where the buffer holds no two images.
    Costs one forward pass of the buffer.
    """
    assert method.buffer is not None
    if len(method.buffer) < 2:
        yield
        return
    parts = method.buffer.held["images"].split(batch)
    with statistics_over(method.predictor, map(method.augment.normalise, parts)):
        yield


@contextmanager
def statistics_over(network: nn.Module, batches: Iterable[Tensor]) -> Iterator[None]:
    """Inside, the running statistics are the mean over these batches, N x C x H x W, normalised;
    a batch of one image is passed over. Afterwards they are what they were."""
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    kept = [{k: v.clone() for k, v in layer.named_buffers()} for layer in layers]
    try:
        for layer in layers:
            layer.reset_running_stats()
        network.train()
        with torch.no_grad(), momentum(network, None):
            for part in batches:
                if len(part) > 1:
                    network(part)
        yield
    finally:
        for layer, buffers in zip(layers, kept, strict=True):
            for name, value in buffers.items():
                getattr(layer, name).copy_(value)


@contextmanager
def momentum(network: nn.Module, value: float | None) -> Iterator[None]:
    """Inside, running statistics move so: 0 keeps them, None takes a plain mean over batches."""
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = value
        yield
    finally:
        for layer, own in zip(layers, momenta, strict=True):
            layer.momentum = own
