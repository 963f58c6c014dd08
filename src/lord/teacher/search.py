"""Drawing, scoring and freezing sub-networks (the paper's teacher redundancy)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

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

TOO_LARGE = 0.95
"""Candidates with this share of the full network's parameters or more save too little."""


@dataclass(frozen=True)
class Candidate:
    """A sub-network: a level for each group, and the channels that gives."""

    levels: tuple[int, ...]
    counts: tuple[int, ...]
    share: float
    """Its parameters as a share of the full network's (kappa)."""

    @classmethod
    def of(cls, ladder: Ladder, levels: Sequence[int]) -> "Candidate":
        counts = ladder.mixed(levels)
        return cls(tuple(levels), counts, ladder.share(counts))


@dataclass(frozen=True)
class Teacher:
    """A frozen copy of the winning sub-network, normalising by batch statistics."""

    choice: Candidate
    module: nn.Module

    @property
    def counts(self) -> tuple[int, ...]:
        return self.choice.counts

    @property
    def share(self) -> float:
        return self.choice.share

    def state_dict(self) -> dict[str, Any]:
        return {"levels": self.choice.levels, "tensors": self.module.state_dict()}

    @classmethod
    def restore(cls, ladder: Ladder, skeleton: nn.Module, state: dict[str, Any]) -> "Teacher":
        """The teacher that ``state`` was saved from. skeleton: of the student's network."""
        return cls(Candidate.of(ladder, state["levels"]), _frozen(skeleton, state["tensors"]))


def draw_candidates(
    ladder: Ladder,
    low: Sequence[int],
    high: int,
    number: int,
    generator: Generator,
) -> list[Candidate]:
    """Distinct sub-networks among ``number`` draws, each group's level uniform in [low, high].

    Args:
        ladder: what a level means.
        low: the previous teacher's level of each group, so that teachers only grow.
        high: the student's level.
        generator: on the CPU.
    """
    floor = torch.tensor(low, dtype=torch.float64)
    drawn = torch.rand(number, len(low), generator=generator, dtype=torch.float64)
    levels = (floor + (drawn * (high - floor + 1)).floor()).long().clamp(max=high).tolist()
    distinct = {ladder.mixed(row): tuple(row) for row in levels}
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
    """Find the sub-network that answers noise most like the student for its size, and freeze it.

    The score is MSE(candidate(noise), student(noise)) * exp(-share), the lowest wins. Both run on
    batch statistics, and neither touches the student's running statistics.

    Args:
        ladder: widths of the student's network.
        student: as the last task left it, at ``level``, its channels ordered by importance.
        level: the student's level, before it grows.
        previous: the last teacher; the new one has at least its channels.
        noise: N x C x H x W standard-normal images, on the student's device.
        number: candidates drawn; those that coincide are scored once.
        generator: on the CPU.
        budget: FLOPs the candidates may take together; where that is none, the first is taken.
    """
    low = previous.choice.levels if previous else (1,) * len(ladder.channels.groups)
    for _ in range(2):
        drawn = draw_candidates(ladder, low, level, number, generator)
        small = [candidate for candidate in drawn if candidate.share < TOO_LARGE]
        if small:
            break
    else:
        small = [min(drawn, key=lambda candidate: candidate.share)]
    costs = (len(noise) * ladder.channels.flops(candidate.counts) for candidate in small)
    small = [
        c for c, spent in zip(small, accumulate(costs), strict=True) if spent <= budget
    ] or small[:1]
    if len(small) == 1:
        return freeze(ladder.channels, student, small[0])
    live = tensors_of(student)
    probe = batch_statistics(skeleton_of(student))
    live = {name: live[name] for name in tensors_of(probe)}
    wanted = functional_call(probe, live, (noise,))
    scores = []
    for candidate in small:
        own = ladder.channels.take(live, candidate.counts)
        adopt_sizes(probe, own)
        distance = F.mse_loss(functional_call(probe, own, (noise,)), wanted)
        scores.append(distance * math.exp(-candidate.share))
    return freeze(ladder.channels, student, small[int(torch.stack(scores).argmin())])


def freeze(channels: ChannelMap, student: nn.Module, choice: Candidate) -> Teacher:
    """Copy the chosen sub-network of ``student`` into an ordinary module that is never trained."""
    tensors = channels.take(tensors_of(student), choice.counts)
    return Teacher(choice, _frozen(skeleton_of(student), tensors))


def _frozen(skeleton: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    return batch_statistics(assemble(skeleton, tensors)).requires_grad_(False)
