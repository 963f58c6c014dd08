"""Low-redundancy distillation (Liu et al. 2025, doi:10.1016/j.patcog.2025.111712)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.channels import Elastic, permute, trace
from lord.config.rules import Count, NonNegative, Probability
from lord.methods.derpp import PUBLISHED
from lord.methods.method import Batch, BufferConfig, Rehearsal, Scalars, Setting
from lord.methods.terms import (
    adjusted_cross_entropy,
    class_shares,
    dark_experience,
    distillation,
)
from lord.rehearsal import admission_probability, chance, is_due
from lord.streams import Task
from lord.student import Ladder, levels_over
from lord.teacher import Teacher, by_importance, search_teacher

SEARCH_SHARE = 0.01
"""FLOPs of a teacher search at most, as a share of its task's: small networks being the slower
per FLOP, that is about 2 % of the time."""


class LoRD(Rehearsal):
    """A student that grows, a pruned teacher it distils from, and rehearsal used sparingly.

    Departures from the authors' code: importance ranks active channels only; no pass of teacher,
    sub-network or search touches the student's running statistics; growth stops at the ladder's
    end; the teacher is not differentiated; a task too short to pay for a search among all
    candidates gets one among fewer.
    """

    name = "lord"
    KEPT = ("level", "steps")
    PRESETS = PUBLISHED

    class Config(BufferConfig, frozen=True):
        alpha: NonNegative = 0.2
        """Weight of the distance to stored logits."""
        beta: NonNegative = 0.5
        """Weight of the replayed labels."""
        distill: NonNegative = 0.05
        """Weight of the distance between the student's sub-network and the teacher (lambda)."""
        rho: Probability = 1.0
        """Chance that the buffer is replayed at a step."""
        every: Count = 1
        """The buffer is replayed at every so many steps, at most."""
        draws: Count = 2
        """Draws a rehearsal: 2 as in DER++, or 1 for both terms on one draw."""
        admission: NonNegative = 0.75
        """A batch is offered to the buffer with chance exp(-admission * the teacher's share of the
        network): 0 offers all."""
        candidates: Count = 500
        """Sub-networks drawn in a teacher search, at most."""
        tau: NonNegative = 0.0
        """Strength of logit adjustment, as in er-las."""
        preserve: bool = False
        """Grow without changing the function."""
        rate: NonNegative | None = None
        """Levels gained before the first task (r); None: by the number of tasks."""

    def __init__(self, config: Any, setting: Setting) -> None:
        super().__init__(config, setting)
        self.device = next(self.student.parameters()).device
        self.channels = trace(self.student, torch.zeros((2, *setting.shape), device=self.device))
        self.elastic = Elastic(self.student, self.channels)
        self.ladder = Ladder.for_network(self.channels, setting.classes)
        self.levels = levels_over(setting.tasks, self.ladder.top, config.rate)
        self.level = 1
        self.teacher: Teacher | None = None
        self.steps = 0
        self._grow(1)

    def begin_task(self, task: Task) -> None:
        level = self.levels[min(task.index, len(self.levels) - 1)]
        steps = self.setting.steps(task)
        if task.index:  # a pruned teacher, from the student as the last task left it
            orders = by_importance(self.channels, self.student)
            permute(self.channels, self.student, orders, self.descent.torch)
            self.teacher = search_teacher(
                self.ladder,
                self.student,
                self.level,
                self.teacher,
                noise=self._noise(),
                number=self.config.candidates,
                generator=self.generator,
                budget=SEARCH_SHARE * steps * self._step_flops(level),
            )
        self._grow(level)  # the student
        self.descent.begin(steps)

    def step(self, batch: Batch) -> Scalars:
        c = self.config
        x, y = self.augment(batch.images), batch.labels
        due = is_due(self.steps, rho=c.rho, every=c.every, generator=self.generator)
        number = c.draws if due and len(self.buffer) else 0
        draws = [self.buffer.draw(c.replay) for _ in range(number)]
        classify = self._cross_entropy([y, *(draw.labels for draw in draws[-1:])])
        logits = self.student(x)
        terms = [self.descent.back(classify(logits, y))]  # each term's graph goes before the next
        if self.teacher and c.distill:  # what the teacher stands for
            same = distillation(self.channels, self.student, self.teacher, x)
            terms.append(self.descent.back(c.distill * same))
        if draws:  # rehearsal, sparingly
            old = dark_experience(self.student, self.augment, draws, c.alpha, c.beta, classify)
            terms.append(self.descent.back(old))
        self.descent.step()
        self.steps += 1
        share = self.teacher.share if self.teacher else 0.0
        if chance(admission_probability(share, c.admission), self.generator):
            self.buffer.offer(images=batch.images, labels=y, logits=logits.detach().float())
        return {"loss": torch.stack(terms).sum()}

    def _cross_entropy(self, labels: list[Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        """The step's cross-entropy; ``labels`` is all it classifies."""
        if not self.config.tau:
            return F.cross_entropy
        shares = class_shares(torch.cat(labels), self.setting.classes)
        return partial(adjusted_cross_entropy, shares=shares, tau=self.config.tau)

    def state_dict(self) -> dict[str, Any]:
        teacher = self.teacher.state_dict() if self.teacher else None
        return super().state_dict() | {"teacher": teacher, "elastic": self.elastic.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.student = self.elastic.load_state_dict(state["elastic"], self.descent.torch)
        self.teacher = None
        if state["teacher"]:
            self.teacher = Teacher.restore(self.ladder, self.elastic.skeleton, state["teacher"])
        super().load_state_dict(state)

    def _grow(self, level: int) -> None:
        self.level = level
        counts = self.ladder.counts(level)
        preserve = self.config.preserve
        self.student = self.elastic.resize(counts, self.descent.torch, preserve=preserve)

    def _step_flops(self, level: int) -> int:
        """At least what a step costs: the student's passes, forward and backward."""
        images = (1 + self.config.draws) * self.config.replay
        return 3 * images * self.channels.flops(self.ladder.counts(level))

    def _noise(self) -> Tensor:
        noise = torch.randn((32, *self.setting.shape), generator=self.generator)
        return noise.to(self.device, memory_format=torch.channels_last)
