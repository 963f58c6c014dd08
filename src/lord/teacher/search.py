"""Draw, score and freeze sub-networks of the student: the paper's teacher search."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.func import functional_call

from lord.channels import (
    ChannelMap,
    adopt_sizes,
    assemble,
    batch_statistics,
    skeleton_of,
    tensors_of,
)
from lord.student import Ladder

MAX_SHARE = 0.95
"""A candidate has less than this share of the full network's parameters."""


@dataclass(frozen=True)
class Candidate:
    """A sub-network of the student.

    Attributes:
        levels: level of each group on the ladder.
        counts: number of channels of each group.
        share: its parameters as a share of the full network's (kappa).
    """

    levels: tuple[int, ...]
    counts: tuple[int, ...]
    share: float

    @classmethod
    def of(cls, ladder: Ladder, levels: Sequence[int]) -> "Candidate":
        """Return the sub-network with these levels."""
        counts = ladder.mixed_counts(levels)
        return cls(tuple(levels), counts, ladder.share(counts))


class TeacherState(TypedDict):
    """The state of a teacher in a checkpoint."""

    levels: tuple[int, ...]
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Teacher:
    """A frozen copy of a sub-network of the student.

    Attributes:
        candidate: the sub-network.
        module: maps N x C x H x W images to N x classes logits, on batch statistics.
    """

    candidate: Candidate
    module: nn.Module

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of channels of each group."""
        return self.candidate.counts

    @property
    def share(self) -> float:
        """Parameters as a share of the full network's (kappa)."""
        return self.candidate.share

    def state_dict(self) -> TeacherState:
        """Return the levels and the weights."""
        return {"levels": self.candidate.levels, "tensors": self.module.state_dict()}

    @classmethod
    def restore(cls, ladder: Ladder, skeleton: nn.Module, state: TeacherState) -> "Teacher":
        """Return the teacher from which ``state`` was saved.

        Args:
            ladder: widths of the student's network.
            skeleton: structure of the student's network.
            state: as ``state_dict`` returns it.
        """
        candidate = Candidate.of(ladder, state["levels"])
        return cls(candidate, _frozen(skeleton, state["tensors"]))


def draw_candidates(
    ladder: Ladder,
    low: Sequence[int],
    high: int,
    number: int,
    generator: Generator,
) -> list[Candidate]:
    """Draw sub-networks at random, each group's level uniform from ``low`` to ``high``.

    Args:
        ladder: widths of the student's network.
        low: the lowest level of each group, which is the previous teacher's. So teachers never
            shrink.
        high: the student's level.
        number: how many to draw.
        generator: on the CPU.

    Returns:
        The draws that differ in their channels, at most ``number``.
    """
    floor = torch.tensor(low, dtype=torch.float64)
    uniform = torch.rand(number, len(low), generator=generator, dtype=torch.float64)
    levels = (floor + (uniform * (high - floor + 1)).floor()).long().clamp(max=high).tolist()
    distinct = {ladder.mixed_counts(row): tuple(row) for row in levels}
    return [Candidate(row, counts, ladder.share(counts)) for counts, row in distinct.items()]


@torch.no_grad()
def search_teacher(
    ladder: Ladder,
    student: nn.Module,
    level: int,
    previous: Teacher | None,
    *,
    noise: Tensor,
    number: int,
    generator: Generator,
    budget: float = math.inf,
) -> Teacher:
    """Find the sub-network that best imitates the student for its size, and freeze it.

    A candidate c scores MSE(c(noise), student(noise)) * exp(-kappa). The lowest score wins (Liu et
    al. 2025). All passes use batch statistics, and the student's running statistics do not change.
    The authors' code overwrites them.

    Args:
        ladder: widths of the student's network.
        student: the student at the end of the last task, with channels in order of importance.
        level: the student's level, before it grows.
        previous: the last teacher; None for the first search. No level of the new teacher is lower.
        noise: N x C x H x W standard-normal images on the student's device.
        number: candidates to draw. Equal ones are scored once.
        generator: on the CPU.
        budget: most FLOPs to spend on the candidates' passes. The student's pass is not included.
            If the budget is too small for one pass, the first candidate drawn is the teacher.
    """
    low = previous.candidate.levels if previous else (1,) * len(ladder.channels.groups)
    candidates = _draw_small(ladder, low, level, number, generator)
    flops = [len(noise) * ladder.channels.flops(candidate.counts) for candidate in candidates]
    affordable = sum(spent <= budget for spent in accumulate(flops))
    candidates = candidates[: max(affordable, 1)]
    if len(candidates) == 1:
        return freeze(ladder.channels, student, candidates[0])
    scores = torch.stack([*_scores(ladder.channels, student, candidates, noise)])
    return freeze(ladder.channels, student, candidates[int(scores.argmin())])


def _draw_small(
    ladder: Ladder, low: Sequence[int], high: int, number: int, generator: Generator
) -> list[Candidate]:
    """Draw candidates below ``MAX_SHARE``, twice if the first draw has none.

    If the second has none either, return the smallest candidate. The arguments are those of
    ``draw_candidates``.
    """
    drawn: list[Candidate] = []
    for _ in range(2):
        drawn = draw_candidates(ladder, low, high, number, generator)
        if small := [candidate for candidate in drawn if candidate.share < MAX_SHARE]:
            return small
    return [min(drawn, key=lambda candidate: candidate.share)]


def _scores(
    channels: ChannelMap, student: nn.Module, candidates: Sequence[Candidate], noise: Tensor
) -> Iterator[Tensor]:
    """Yield the score of each candidate: its distance to the student, times exp(-kappa)."""
    probe = batch_statistics(skeleton_of(student))  # runs each candidate on the student's weights
    weights = tensors_of(student)
    weights = {name: weights[name] for name in tensors_of(probe)}
    target = functional_call(probe, weights, (noise,))
    for candidate in candidates:
        taken = channels.take(weights, candidate.counts)
        adopt_sizes(probe, taken)
        distance = F.mse_loss(functional_call(probe, taken, (noise,)), target)
        yield distance * math.exp(-candidate.share)


def freeze(channels: ChannelMap, student: nn.Module, candidate: Candidate) -> Teacher:
    """Copy a sub-network of the student into an ordinary module that is never trained.

    Args:
        channels: the student's channel map.
        student: at full width or narrowed. It is not changed.
        candidate: the sub-network to copy.
    """
    tensors = channels.take(tensors_of(student), candidate.counts)
    return Teacher(candidate, _frozen(skeleton_of(student), tensors))


def _frozen(skeleton: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return a module with copies of ``tensors`` that uses batch statistics and is not trained."""
    return batch_statistics(assemble(skeleton, tensors)).requires_grad_(False)
