"""Loss terms that several methods share, as pure functions."""

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from lord.channels import ChannelMap
from lord.teacher import Teacher


def dark_experience(
    logits: Sequence[Tensor],
    draws: Sequence[SimpleNamespace],
    alpha: float,
    beta: float,
    classify: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> Tensor:
    """alpha MSE(logits, stored logits) on the first draw + beta CE(logits, labels) on the last.

    With two draws, these are the two terms of DER++ (Buzzega et al. 2020). With one draw, both
    terms use the same pass.

    Args:
        logits: present logits of each draw, N x classes.
        draws: what was drawn, with ``logits`` and ``labels``.
        classify: the cross-entropy.
    """
    match = F.mse_loss(logits[0], draws[0].logits)
    return alpha * match + beta * classify(logits[-1], draws[-1].labels)


def class_shares(labels: Tensor, classes: int) -> Tensor:
    """Return the share of each class among ``labels``, without waiting for the device."""
    ones = torch.ones_like(labels, dtype=torch.float32)
    counts = torch.zeros(classes, device=labels.device).scatter_add_(0, labels, ones)
    return counts / len(labels)


def adjusted_cross_entropy(
    logits: Tensor, labels: Tensor, shares: Tensor, tau: float = 1.0
) -> Tensor:
    """Return the cross-entropy of logits + tau log(shares).

    A frequent class must win by more than its frequency. Classes of share 0 are left out (Menon et
    al. 2021, arXiv:2007.07314).
    """
    return F.cross_entropy(logits + tau * shares.log(), labels)


def cross_entropy_for(
    labels: Sequence[Tensor], classes: int, tau: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the cross-entropy for a step that classifies ``labels``.

    It is adjusted by the shares of the classes among the labels; with tau 0 it is the plain one.
    """
    if not tau:
        return F.cross_entropy
    shares = class_shares(torch.cat(list(labels)), classes)
    return partial(adjusted_cross_entropy, shares=shares, tau=tau)


def distillation(channels: ChannelMap, student: nn.Module, teacher: Teacher, x: Tensor) -> Tensor:
    """Return the MSE between the student's sub-network and the teacher, both on batch statistics.

    The sub-network consists of views of the student's live weights, and runs in the teacher's
    module. So gradients reach only those weights, and no running statistics move.
    """
    shared = channels.take(dict(student.named_parameters()), teacher.counts)
    with torch.no_grad():
        target = teacher.module(x)
    return F.mse_loss(functional_call(teacher.module, shared, (x,)), target)
