"""Loss terms that several methods share, as pure functions."""

from collections.abc import Sequence
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from lord.channels import ChannelMap
from lord.data import Augment
from lord.teacher import Teacher


def dark_experience(
    student: nn.Module,
    augment: Augment,
    draws: Sequence[SimpleNamespace],
    alpha: float,
    beta: float,
) -> Tensor:
    """alpha MSE(logits, stored logits) on the first draw + beta CE(logits, labels) on the last.

    With two draws these are the two terms of DER++ (Buzzega et al. 2020); with one draw, both are
    taken on one pass.
    """
    logits = [student(augment(draw.images)) for draw in draws]
    match = F.mse_loss(logits[0], draws[0].logits)
    return alpha * match + beta * F.cross_entropy(logits[-1], draws[-1].labels)


def distillation(channels: ChannelMap, student: nn.Module, teacher: Teacher, x: Tensor) -> Tensor:
    """MSE between the student's own sub-network and the teacher, both on batch statistics.

    The sub-network is views of the student's live weights, run through the teacher's module: so
    gradients reach those weights only, and no running statistics move.
    """
    shared = channels.take(dict(student.named_parameters()), teacher.counts)
    with torch.no_grad():
        wanted = teacher.module(x)
    return F.mse_loss(functional_call(teacher.module, shared, (x,)), wanted)
