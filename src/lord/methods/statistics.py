"""Batch-norm statistics recomputed on the buffer, or on other images."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lord.methods.method import AnyMethod


@contextmanager
def recomputed_statistics(method: AnyMethod, batch: int = 32) -> Iterator[bool]:
    """Give the predictor running statistics of the buffer, inside a ``with`` block.

    They are the mean over batches of the whole buffer, without augmentation, like test images. Some
    buffers are sorted by class, so each batch takes rows from all over the buffer.
    Afterwards the statistics of training are restored. With fewer than two images in the buffer, or
    a predictor without running statistics, nothing changes and nothing is computed. Otherwise it
    costs one forward pass of the buffer.

    Args:
        method: a method with a buffer.
        batch: number of images in a batch.

    Yields:
        Whether the statistics were recomputed.
    """
    assert method.buffer is not None
    if len(method.buffer) < 2 or not _has_statistics(predictor := method.predictor):
        yield False
        return
    images = method.buffer.held["images"]
    count = math.ceil(len(images) / batch)
    parts = [images[start::count] for start in range(count)]
    with statistics_over(predictor, map(method.augment.normalise, parts)):
        yield True


def _has_statistics(network: nn.Module) -> bool:
    """Return whether a network has batch-norm layers with running statistics."""
    layers = (layer for layer in network.modules() if isinstance(layer, _BatchNorm))
    return any(layer.running_mean is not None for layer in layers)


@contextmanager
def statistics_over(network: nn.Module, batches: Iterable[Tensor]) -> Iterator[None]:
    """Set the running statistics to the mean over batches, inside a ``with`` block.

    Args:
        network: its running statistics are restored afterwards.
        batches: N x C x H x W, normalised. A batch of one image is skipped.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    saved = [{k: v.clone() for k, v in layer.named_buffers()} for layer in layers]
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
        for layer, buffers in zip(layers, saved, strict=True):
            for name, value in buffers.items():
                getattr(layer, name).copy_(value)


@contextmanager
def momentum(network: nn.Module, value: float | None) -> Iterator[None]:
    """Set the momentum of running statistics, inside a ``with`` block.

    With 0 they do not change; with None they are the plain mean over batches.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = value
        yield
    finally:
        for layer, before in zip(layers, momenta, strict=True):
            layer.momentum = before
