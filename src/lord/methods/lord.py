"""Low-redundancy distillation (Liu et al. 2025, doi:10.1016/j.patcog.2025.111712)."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from msgspec import Meta
from torch import Tensor

from lord.channels import Elastic, tensors_of, trace
from lord.config import UserError
from lord.config.types import Natural, NonNegative, Probability
from lord.methods.context import Batch, Context
from lord.methods.derpp import DERPP_PUBLISHED
from lord.methods.method import BufferConfig, Rehearsal, Scalars, moved
from lord.methods.optim import Progress
from lord.methods.terms import cross_entropy_for, dark_experience, distillation
from lord.rehearsal import Balanced, admission_probability, chance
from lord.streams import Task
from lord.student import Ladder, default_pace, level_by_flops, level_by_images, levels_over
from lord.teacher import Candidate, Teacher, by_importance, freeze, search_teacher

SEARCH_SHARE = 0.01
"""Upper limit of the FLOPs of a teacher search, as a share of those of its task. Small networks are
slower per FLOP, so this is about 2 % of the time."""


class LoRDConfig(BufferConfig, frozen=True):
    """Settings of LoRD, in the order of the paper: student, teacher, distillation, rehearsal."""

    ladder: Literal["auto", "short", "long"] = "auto"
    """Widths of the student: ten (short) or nineteen (long). auto: long from 100 classes on."""
    pace: NonNegative | Literal["auto"] | None = None
    """Levels gained before the first task (r). None: as in the paper, by the number of tasks.
    auto: the level follows the images seen so far, for any number of tasks. With FLOPs
    given for each task, it is the highest level at which they pay for the `passes` it needs."""
    passes: NonNegative = 50.0
    """Passes over a task's images that the full width needs, as the paper has them for CIFAR. A
    narrower student needs fewer, in proportion to its FLOPs. Used with `pace` auto, where FLOPs are
    given for each task."""
    growth: Literal["plain", "preserving", "none"] = "plain"
    """How the student grows. plain: as in the paper. preserving: growth does not change the
    function that it computes. none: it has full width from the first task on."""
    candidates: Natural = 500
    """Most sub-networks to draw in a teacher search. 0: the whole student is the teacher."""
    distill: NonNegative = 0.05
    """Weight of the distance between the student's sub-network and the teacher (lambda)."""
    alpha: NonNegative = 0.2
    """Weight of the distance to stored logits."""
    beta: NonNegative = 0.5
    """Weight of the replayed labels. With 'merged', it is not used: every label counts alike."""
    rho: Probability = 1.0
    """Probability that the buffer is replayed at a step."""
    admission: NonNegative = 0.75
    """A batch is offered to the buffer with probability exp(-admission * kappa), where kappa is
    the teacher's share of the parameters. 0 offers every batch."""
    keep: Literal["reservoir", "balanced"] = "reservoir"
    """Which offered samples stay: all equally likely, or equally many of each class."""
    draws: Annotated[int, Meta(ge=1, le=2)] = 2
    """Draws from the buffer at a step: 2 as in DER++, or 1 that serves both rehearsal terms."""
    merged: bool = False
    """Pass the batch and the draw through the student together, so that batch-norm sees both."""
    tau: NonNegative = 0.0
    """Strength of logit adjustment, as in er-las."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.merged and self.draws != 1:
            raise UserError(field="draws", given=self.draws, allowed="1 if `merged` is set")


class LoRD(Rehearsal[LoRDConfig]):
    """A growing student, distillation from a pruned teacher, and sparing rehearsal.

    Departures from the authors' code: importance ranks active channels only. No pass of the
    teacher, the sub-network or the search touches the student's running statistics. Growth stops
    at the ladder's end. No gradient is computed for the teacher. In a short task, the search scores
    fewer candidates, to stay within its budget.

    >>> import lord
    >>> config = lord.compose("lord", {"epochs": 1, "width": 8, "subset": 0.1, "candidates": 8})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "lord"
    STATE: ClassVar[tuple[str, ...]] = ("level",)
    PUBLISHED = DERPP_PUBLISHED

    def __init__(self, config: LoRDConfig, context: Context) -> None:
        super().__init__(config, context)
        if config.keep == "balanced":
            self.buffer = Balanced(config.buffer, self.generator)
        example = torch.zeros((2, *context.shape), device=self.device)
        self.channels = trace(self.student, example)
        self.elastic = Elastic(self.student, self.channels)
        classes = {"auto": context.classes, "short": 1, "long": 100}[config.ladder]
        self.ladder = Ladder.for_network(self.channels, classes)
        self.teacher: Teacher | None = None
        self.level = 0
        self.first = self.seen = self.images = 1
        """Images of the first task, of all tasks so far, and of the current one."""
        self._grow(self._level(0))
        self._warn_if_narrow()

    # 1. Student redundancy: an elastic student that grows ----------------------------------------

    def begin_task(self, task: Task) -> None:
        self.images = len(task.labels)
        self.first, self.seen = (self.first, self.seen) if task.index else (self.images, 0)
        self.seen += self.images
        level = self._level(task.index)
        if task.index and (self.config.distill or self.config.admission):
            self.teacher = self._find_teacher(task, level)  # before the student grows
        self._grow(level)

    def _level(self, task: int) -> int:
        """Return the student's level in a task, by its number from 0."""
        if self.config.growth == "none":
            return self.ladder.top
        if self.config.pace == "auto":
            if self.context.flops is None:
                level = level_by_images(self.first, self.seen, self.ladder.top)
            else:
                steps = self.config.passes * math.ceil(self.images / self.context.batch)
                costs = [self._step_flops(each) for each in range(1, self.ladder.top + 1)]
                level = level_by_flops(self.context.flops, costs, steps)
            return max(level, self.level) if task else level
        levels = levels_over(self.context.tasks, self.ladder.top, self.config.pace)
        return levels[min(task, len(levels) - 1)]

    def _warn_if_narrow(self) -> None:
        """Warn if the paper's schedule ends below full width."""
        tasks, top = self.context.tasks, self.ladder.top
        if self.config.pace is None and (last := self._level(tasks - 1)) < top:
            share = self.ladder.share(self.ladder.counts(last))
            self.warnings.append(
                f"the student ends at level {last} of {top}, with {share:.1%} of the network's "
                f"parameters: the paper's pace for {tasks} tasks is {default_pace(tasks):g}. "
                "A higher `pace` ends wider, and 'auto' follows the images seen"
            )

    def _grow(self, level: int) -> None:
        """Set the student to the width of ``level``."""
        self.level = level
        preserve = self.config.growth == "preserving"
        counts = self.ladder.counts(level)
        self.student = self.elastic.resize(counts, self.optimizer.torch, preserve=preserve)

    # 2. Teacher redundancy: a pruned teacher -----------------------------------------------------

    def _find_teacher(self, task: Task, level: int) -> Teacher:
        """Find a teacher in the student as the last task left it, and freeze it.

        Args:
            level: the student's level in ``task``. It decides the budget of the search.
        """
        if not self.config.candidates:
            whole = Candidate.of(self.ladder, (self.level,) * len(self.channels.groups))
            return freeze(self.channels, self.student, whole)
        orders = by_importance(self.channels, self.student)
        self.elastic.permute(orders, self.optimizer.torch)
        noise = torch.randn((32, *self.context.shape), generator=self.generator)
        return search_teacher(
            self.ladder,
            self.student,
            self.level,
            self.teacher,
            noise=noise.to(self.device, memory_format=torch.channels_last),
            number=self.config.candidates,
            generator=self.generator,
            budget=self._search_budget(task, level),
        )

    def _search_budget(self, task: Task, level: int) -> float:
        """Return the most FLOPs to spend on a search: a share of those of the task's steps."""
        if self.context.flops is not None:
            return SEARCH_SHARE * self.context.flops
        return SEARCH_SHARE * self.context.steps(task) * self._step_flops(level)

    def _step_flops(self, level: int) -> int:
        """Return the FLOPs of the student's passes in a step at a level."""
        c = self.config
        images = self.context.batch + c.draws * c.rho * c.replay
        return int(3 * images * self.channels.flops(self.ladder.counts(level)))

    # 3. and 4. Distillation, and rehearsal -------------------------------------------------------

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        c, x, y = self.config, self.augment(batch.images), batch.labels
        replay = chance(c.rho, self.generator) and len(self.buffer)
        draws = [self.buffer.draw(c.replay) for _ in range(c.draws)] if replay else []
        old = [self.augment(draw.images) for draw in draws]
        if c.merged:  # one pass, one cross-entropy
            labels = torch.cat([y, *(draw.labels for draw in draws)])
            classify = cross_entropy_for([labels], self.context.classes, c.tau)
            outputs = self.student(torch.cat([x, *old]))
            logits = outputs[: len(x)]
            loss = classify(outputs, labels)
            if draws:
                loss = loss + c.alpha * F.mse_loss(outputs[len(x) :], draws[0].logits)
            terms = [self.optimizer.backward(loss)]
        else:
            labelled = [y, *(draw.labels for draw in draws[-1:])]
            classify = cross_entropy_for(labelled, self.context.classes, c.tau)
            logits = self.student(x)
            terms = [self.optimizer.backward(classify(logits, y))]
            if draws:
                again = [self.student(images) for images in old]
                rehearsal = dark_experience(again, draws, c.alpha, c.beta, classify)
                terms.append(self.optimizer.backward(rehearsal))
        if self.teacher and c.distill:
            distance = distillation(self.channels, self.student, self.teacher, x)
            terms.append(self.optimizer.backward(c.distill * distance))
        self.optimizer.step(progress)
        kappa = self.teacher.share if self.teacher else 0.0
        if chance(admission_probability(kappa, c.admission), self.generator):
            stored = logits.detach().float()
            self.buffer.offer(images=batch.images, labels=y, logits=stored)
        return {"loss": torch.stack(terms).sum()}

    def bytes_to_come(self, images: int) -> int:
        """Return the bytes that a wider student and a teacher as large as it need in addition.

        Only at full width does the student share its memory with the elastic network's full state.
        So the level below may need the most.
        """
        full, now = _bytes(self.elastic.full), _bytes(tensors_of(self.student))
        states = sum(_bytes(values) for values in self.optimizer.torch.state.values())
        teacher = _bytes(self.teacher.module.state_dict()) if self.teacher else 0
        teaches = bool(self.config.distill or self.config.admission)
        each = 1 + math.ceil(states / now) + teaches  # student, optimizer and teacher
        most = full * each
        if self.config.growth != "none":
            below = self.ladder.counts(self.ladder.top - 1)
            most = max(most, full + each * _bytes(self.channels.take(self.elastic.full, below)))
        shared = self.elastic.counts == self.channels.full
        return max(most - (full + (0 if shared else now) + states + teacher), 0)

    # State: the student's shape comes before its weights -----------------------------------------

    def state_dict(self) -> dict[str, Any]:
        teacher = self.teacher.state_dict() if self.teacher else None
        shape = {"elastic": self.elastic.state_dict(), "images_seen": (self.first, self.seen)}
        return super().state_dict() | {"teacher": teacher, **shape}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.student = self.elastic.load_state_dict(state["elastic"], self.optimizer.torch)
        self.teacher = None
        if state["teacher"]:
            teacher = moved(state["teacher"], self.device)
            self.teacher = Teacher.restore(self.ladder, self.elastic.skeleton, teacher)
        self.first, self.seen = state.get("images_seen", (1, 1))
        super().load_state_dict(state)


def _bytes(tensors: Mapping[str, Any]) -> int:
    """Return the bytes of the tensors among some values."""
    return sum(value.nbytes for value in tensors.values() if isinstance(value, Tensor))


LORD_PLUS: dict[str, Any] = {
    "optimizer": "muon",
    "lr": 0.05,
    "momentum": 0.6,
    "weight_decay": 0.01,
    "schedule": "triangle",
    "growth": "preserving",
    "pace": "auto",
    "distill": 0.0,
    "draws": 1,
    "merged": True,
    "tau": 1.0,
}
"""The preset ``lord+``."""
ABOUT_LORD_PLUS = """LoRD made cheaper: orthogonalised momentum, logit adjustment, growth by images.

A preset of ``lord``: the same method with other defaults. It differs from the paper as follows.
The optimizer is Muon (``optimizer``, ``lr``, ``momentum``, ``weight_decay``, ``schedule``).
Cross-entropies are logit-adjusted (``tau``). A step draws once from the buffer (``draws``), and
passes the draw through the student together with the batch (``merged``). Growth preserves the
function that the student computes (``growth``). The student lacks half of its levels in the first
task. What it lacks is halved each time the images seen have doubled. No number of tasks is needed
(``pace``). With a budget of FLOPs, it has the largest width that they can train (``passes``).
Distillation is off (``distill``). ``alpha`` is the same for every stream and buffer size.

>>> import lord
>>> lord.compose("lord+").settings.tau, lord.compose("lord+:tau=0").settings.tau
(1.0, 0.0)
"""
