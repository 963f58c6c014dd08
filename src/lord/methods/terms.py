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
    """Return the loss on draws: alpha MSE(logits, stored logits) + beta CE(logits, labels).

    The first term is on the first draw, the second term is on the last draw. With two draws, these
    are the two terms of DER++ (Buzzega et al. 2020). With one draw, both terms use the same pass.

    Args:
        logits: present logits of each draw, N x classes.
        draws: the rows of each draw, with ``logits`` and ``labels``.
        alpha, beta: weights of the two terms.
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

    The adjustment offsets the advantage of frequent classes. Classes of share 0 are left out (Menon
    et al. 2021, arXiv:2007.07314).

    Args:
        logits: N x classes.
        labels: N int64.
        shares: share of each class, as ``class_shares`` returns them.
        tau: strength of the adjustment.
    """
    return F.cross_entropy(logits + tau * shares.log(), labels)


def cross_entropy_for(
    labels: Sequence[Tensor], classes: int, tau: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the cross-entropy for a step that classifies ``labels``.

    It is adjusted by the shares of the classes among the labels. With tau 0 it is not adjusted.

    Args:
        labels: the labels of each pass of the step.
        classes: number of classes.
        tau: strength of the adjustment.
    """
    if not tau:
        return F.cross_entropy
    shares = class_shares(torch.cat(list(labels)), classes)
    return partial(adjusted_cross_entropy, shares=shares, tau=tau)


def distillation(channels: ChannelMap, student: nn.Module, teacher: Teacher, x: Tensor) -> Tensor:
    """Return the MSE between the student's sub-network and the teacher, both on batch statistics.

    The sub-network consists of views of the student's live weights, and runs in the teacher's
    module. So gradients reach only those weights, and running statistics do not change.

    Args:
        channels: the student's channel map.
        student: the student at a width that contains the teacher's.
        teacher: the teacher.
        x: normalised images, N x C x H x W.
    """
    shared = channels.take(dict(student.named_parameters()), teacher.counts)
    with torch.no_grad():
        target = teacher.module(x)
    return F.mse_loss(functional_call(teacher.module, shared, (x,)), target)
