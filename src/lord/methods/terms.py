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

    With two draws these are the two terms of DER++ (Buzzega et al. 2020); with one draw, both are
    taken on one pass.

    Args:
        logits: of each draw, now.
        classify: the cross-entropy.
    """
    match = F.mse_loss(logits[0], draws[0].logits)
    return alpha * match + beta * classify(logits[-1], draws[-1].labels)


def class_shares(labels: Tensor, classes: int) -> Tensor:
    """Share of each class among ``labels``, without waiting for the device."""
    ones = torch.ones_like(labels, dtype=torch.float32)
    counts = torch.zeros(classes, device=labels.device).scatter_add_(0, labels, ones)
    return counts / len(labels)


def adjusted_cross_entropy(
    logits: Tensor, labels: Tensor, shares: Tensor, tau: float = 1.0
) -> Tensor:
    """Cross-entropy on logits + tau log(shares): what is frequent must win by more than that.

    Classes of share 0 are left out (Menon et al. 2021, arXiv:2007.07314).
    """
    return F.cross_entropy(logits + tau * shares.log(), labels)


def cross_entropy_for(
    labels: Sequence[Tensor], classes: int, tau: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """The cross-entropy of a step that classifies ``labels``: plain for tau 0, else adjusted by
    the shares of the classes among them."""
    if not tau:
        return F.cross_entropy
    shares = class_shares(torch.cat(list(labels)), classes)
    return partial(adjusted_cross_entropy, shares=shares, tau=tau)


def distillation(channels: ChannelMap, student: nn.Module, teacher: Teacher, x: Tensor) -> Tensor:
    """MSE between the student's own sub-network and the teacher, both on batch statistics.

    The sub-network is views of the student's live weights, run through the teacher's module: so
    gradients reach those weights only, and no running statistics move.
    """
    shared = channels.take(dict(student.named_parameters()), teacher.counts)
    with torch.no_grad():
        wanted = teacher.module(x)
    return F.mse_loss(functional_call(teacher.module, shared, (x,)), wanted)
