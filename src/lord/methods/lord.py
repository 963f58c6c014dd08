"""Low-redundancy distillation (Liu et al. 2025, doi:10.1016/j.patcog.2025.111712)."""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lord.channels import Elastic, permute, trace
from lord.config.types import Count, NonNegative
from lord.methods.derpp import PUBLISHED
from lord.methods.method import Batch, Context, Scalars, moved
from lord.methods.sparse import SparseConfig, SparseRehearsal
from lord.methods.terms import (
    cross_entropy_for,
    dark_experience,
    distillation,
)
from lord.streams import Task
from lord.student import Ladder, levels_over
from lord.teacher import Candidate, Teacher, by_importance, freeze, search_teacher

SEARCH_SHARE = 0.01
"""FLOPs of a teacher search at most, as a share of its task's: small networks being the slower
per FLOP, that is about 2 % of the time."""


class LoRD(SparseRehearsal):
    """A student that grows, a pruned teacher it distils from, and rehearsal used sparingly.

    Departures from the authors' code: importance ranks active channels only; no pass of teacher,
    sub-network or search touches the student's running statistics; growth stops at the ladder's
    end; the teacher is not differentiated; a task too short to pay for a search among all
    candidates gets one among fewer.
    """

    name = "lord"
    STATE = (*SparseRehearsal.STATE, "level")
    PRESETS = PUBLISHED

    class Config(SparseConfig, frozen=True):
        growth: Literal["plain", "preserving", "none"] = "plain"
        """How the student grows: as the paper has it; without changing the function; or not, full
        width from the first task on."""
        ladder: Literal["auto", "short", "long"] = "auto"
        """Ten widths, or nineteen; auto: the long one from 100 classes on."""
        pace: NonNegative | None = None
        """Levels gained before the first task (r); None: by the number of tasks."""
        pruned: bool = True
        """Search a small teacher; otherwise the whole student as the last task left it is one."""
        candidates: Count = 500
        """Sub-networks drawn in a teacher search, at most."""
        distill: NonNegative = 0.05
        """Weight of the distance between the student's sub-network and the teacher (lambda)."""
        distill_every: Count = 1
        """It is computed at every so many steps."""
        tau: NonNegative = 0.0
        """Strength of logit adjustment, as in er-las."""

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        self.channels = trace(self.student, torch.zeros((2, *context.shape), device=self.device))
        self.elastic = Elastic(self.student, self.channels)
        classes = {"auto": context.classes, "short": 1, "long": 100}[config.ladder]
        self.ladder = Ladder.for_network(self.channels, classes)
        self.levels = levels_over(context.tasks, self.ladder.top, config.pace)
        if config.growth == "none":
            self.levels = (self.ladder.top,) * context.tasks
        self.teacher: Teacher | None = None
        self.level = 0
        self._grow(self.levels[0])

    def begin_task(self, task: Task) -> None:
        level = self.levels[min(task.index, len(self.levels) - 1)]
        if task.index and (self.config.distill or self.config.admission):
            self._find_teacher(SEARCH_SHARE * self.context.steps(task) * self._step_flops(level))
        self._grow(level)  # the student
        super().begin_task(task)

    def step(self, batch: Batch) -> Scalars:
        c = self.config
        x, y = self.augment(batch.images), batch.labels
        draws = self.draw()  # rehearsal, sparingly
        logits, terms = (self._together if c.merged else self._apart)(x, y, draws)
        if self.teacher and c.distill and self.steps % c.distill_every == 0:
            same = distillation(self.channels, self.student, self.teacher, x)
            terms.append(self.descent.back(c.distill * same))  # what the teacher stands for
        self.descent.step()
        self.steps += 1
        self.offer(batch, logits, self.teacher.share if self.teacher else 0.0)
        return {"loss": torch.stack(terms).sum()}

    def _apart(self, x: Tensor, y: Tensor, draws: list[Any]) -> tuple[Tensor, list[Tensor]]:
        """Logits of the stream, and the terms gone back through: each graph before the next."""
        classify = self._cross_entropy([y, *(draw.labels for draw in draws[-1:])])
        logits = self.student(x)
        terms = [self.descent.back(classify(logits, y))]
        if draws:
            again = [self.student(self.augment(draw.images)) for draw in draws]
            old = dark_experience(again, draws, self.config.alpha, self.config.beta, classify)
            terms.append(self.descent.back(old))
            self.note(draws, again)
        return logits, terms

    def _together(self, x: Tensor, y: Tensor, draws: list[Any]) -> tuple[Tensor, list[Tensor]]:
        """The same in one pass, with one cross-entropy over stream and draw."""
        views = [x, *(self.augment(draw.images) for draw in draws)]
        labels = torch.cat([y, *(draw.labels for draw in draws)])
        both = self.student(torch.cat(views))
        logits, *again = both.split([len(view) for view in views])
        loss = self._cross_entropy([labels])(both, labels)
        if draws:
            loss = loss + self.config.alpha * F.mse_loss(again[0], draws[0].logits)
            self.note(draws, again)
        return logits, [self.descent.back(loss)]

    def _cross_entropy(self, labels: list[Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        """The step's cross-entropy; ``labels`` is all it classifies."""
        return cross_entropy_for(labels, self.context.classes, self.config.tau)

    def _find_teacher(self, budget: float) -> None:
        """A frozen teacher, from the student as the last task left it; budget: FLOPs."""
        if not self.config.pruned:
            whole = Candidate.of(self.ladder, (self.level,) * len(self.channels.groups))
            self.teacher = freeze(self.channels, self.student, whole)
            return
        orders = by_importance(self.channels, self.student)
        permute(self.channels, self.student, orders, self.descent.optimizer)
        self.teacher = search_teacher(
            self.ladder,
            self.student,
            self.level,
            self.teacher,
            noise=self._noise(),
            number=self.config.candidates,
            generator=self.generator,
            budget=budget,
        )

    def state_dict(self) -> dict[str, Any]:
        teacher = self.teacher.state_dict() if self.teacher else None
        return super().state_dict() | {"teacher": teacher, "elastic": self.elastic.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.student = self.elastic.load_state_dict(state["elastic"], self.descent.optimizer)
        self.teacher = None
        if state["teacher"]:
            kept = moved(state["teacher"], self.device)
            self.teacher = Teacher.restore(self.ladder, self.elastic.skeleton, kept)
        super().load_state_dict(state)

    def _grow(self, level: int) -> None:
        self.level = level
        counts = self.ladder.counts(level)
        preserve = self.config.growth == "preserving"
        self.student = self.elastic.resize(counts, self.descent.optimizer, preserve=preserve)

    def _step_flops(self, level: int) -> int:
        """Roughly what a step costs: the student's passes, forward and backward."""
        c = self.config
        images = (1 + c.draws * c.rho * (1 - c.late) / c.every) * c.replay
        return int(3 * images * self.channels.flops(self.ladder.counts(level)))

    def _noise(self) -> Tensor:
        noise = torch.randn((32, *self.context.shape), generator=self.generator)
        return noise.to(self.device, memory_format=torch.channels_last)
