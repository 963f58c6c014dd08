"""Extended dark experience replay on a fixed polytope (Boschini et al. 2022, arXiv:2201.00766)."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.config.types import NonNegative, Share
from lord.methods.context import Batch, Context
from lord.methods.heads import head_of, with_head
from lord.methods.method import CHUNK, BufferConfig, Rehearsal, Scalars, Traits
from lord.methods.optim import Progress
from lord.methods.statistics import momentum
from lord.streams import Task


class XDERConfig(BufferConfig, frozen=True):
    """Settings of X-DER-RPC."""

    alpha: NonNegative = 0.3
    """Weight of the distance to stored logits."""
    beta: NonNegative = 0.8
    """Weight of the replayed labels."""
    gamma: Share = 0.85
    """Updated logits of later classes are at most this share of the logit of the image's class."""
    eta: NonNegative = 0.01
    """Weight of the constraint on the logits of future classes."""
    margin: NonNegative = 0.5
    """Margin by which the largest logit of future classes must stay below the largest of the
    image's task (m)."""


class XDERRPC(Rehearsal[XDERConfig]):
    """DER++ with stored logits updated for later classes, and a fixed polytope as its head.

    Loss: CE(stream) over the present classes + alpha MSE(logits of draw 1, stored) + beta
    CE(draw 2) over the past classes + eta * hinge(margin + largest future logit - largest logit of
    the image's task).

    Logits stored for an image are updated for classes that came later: they take the student's
    present values. If the logit of the image's class is positive, these are scaled down to stay
    below it. Only the pass of draw 1 updates running statistics. Some images of the batch join that
    pass: the batch size divided by the number of earlier tasks. At the end of a task the buffer is
    rebuilt with equally many images of each class. The polytope reads all outputs of the network's
    head except the last.

    Departures: the learning rate has no milestones. The authors' code scales down also if the
    logit of the image's class is negative, and its ratios are then unbounded. The published values
    for S-CIFAR-100 are those of ten tasks; its `eta` and `margin` are those of X-DER.

    >>> import lord
    >>> config = lord.compose("x-der-rpc", {"epochs": 1, "width": 4, "subset": 0.1})
    >>> len(lord.run(config).matrices.class_il)
    5
    """

    name = "x-der-rpc"
    traits = Traits(widens=False, recurs=False)
    STATE = ("task_of", "task", "past", "present")
    PUBLISHED = {
        "s-cifar10": {500: {"lr": 0.03, "alpha": 0.3, "beta": 0.8, "eta": 0.01, "margin": 0.5}},
        "s-cifar100-10x10": {
            500: {"lr": 0.03, "alpha": 0.1, "beta": 0.5, "eta": 0.001, "margin": 0.7}
        },
    }

    def __init__(self, config: XDERConfig, context: Context) -> None:
        super().__init__(config, context)
        head = head_of(self.student)
        self.polytope = polytope(context.classes).to(head.weight.device)
        self.task_of = torch.full((context.classes,), -1)
        """Index of the task of each class; -1 for classes not seen so far."""
        self.task = -1
        self.past = self.present = 0
        """Number of classes seen before this task, and including it."""

    @property
    def predictor(self) -> nn.Module:
        head = head_of(self.student)
        reads = self.polytope.weight
        bias = None if head.bias is None else reads @ head.bias[:-1]
        return with_head(self.student, reads @ head.weight[:-1], bias)

    def logits(self, x: Tensor) -> Tensor:
        """Return N x classes logits, in the student's current mode."""
        return self.polytope(self.student(x)[:, :-1]).float()

    def begin_task(self, task: Task) -> None:
        self.past, self.present, self.task = self.present, 1 + max(task.classes), task.index
        self.task_of[list(task.classes)] = task.index
        if len(self.buffer):
            self.buffer.columns["drawn"].zero_()

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        c, old = self.config, self.past
        x, y = self.augment(batch.images), batch.labels
        if not len(self.buffer):
            logits = self.logits(x)
            loss = F.cross_entropy(logits[:, : self.present], y)
            loss = loss + c.eta * self.future_excess(logits, y)
        else:
            with momentum(self.student, 0.0):
                stream = self.logits(x)
            one, two = (self.buffer.draw(c.replay) for _ in range(2))
            joining = max(len(y) // max(self.task, 1), 1)
            again = self.logits(torch.cat([self.augment(one.images), x[:joining]]))[: len(one.rows)]
            with momentum(self.student, 0.0):
                labelled = self.logits(self.augment(two.images))
            loss = F.cross_entropy(stream[:, old : self.present], y - old)
            loss = loss + c.alpha * F.mse_loss(again, one.logits)
            loss = loss + c.beta * F.cross_entropy(labelled[:, :old], two.labels)
            everything = torch.cat([stream, again, labelled])
            labels = torch.cat([y, one.labels, two.labels])
            loss = loss + c.eta * self.future_excess(everything, labels)
            for draw, now in ((one, again), (two, labelled)):
                self._update(draw, now.detach())
        self.optimizer.update(loss, progress)
        return {"loss": loss.detach()}

    def future_excess(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return by how much the largest future logit, plus margin, exceeds the task's largest.

        It is the mean over the images with a positive excess.

        Args:
            logits: N x classes.
            labels: N.
        """
        if self.present == logits.shape[1]:
            return logits.new_zeros(())
        tasks = self.task_of.to(labels.device)
        others = tasks[labels][:, None] != tasks[None, :]
        largest = logits.masked_fill(others, float("-inf")).max(1).values
        excess = (self.config.margin + logits[:, self.present :].max(1).values - largest).relu()
        return excess.sum() / (excess > 0).sum().clamp(min=1)

    def updated(self, stored: Tensor, now: Tensor, labels: Tensor, at: Tensor) -> Tensor:
        """Return stored logits with some of them replaced by present ones.

        The replacements stay below the stored logit of the image's class, if that is positive.

        Args:
            stored, now: N x classes, the stored and the present logits.
            labels: N.
            at: N x classes, true for the logits to replace.
        """
        truth = stored.gather(1, labels[:, None])
        low = torch.finfo(now.dtype).min
        top = now.masked_fill(~at, low).max(1, keepdim=True).values
        above = (top > truth) & (truth > 0)  # otherwise the ratio is unbounded
        scale = torch.where(above, self.config.gamma * truth / top, 1.0)
        return torch.where(at, now * scale, stored)

    def _update(self, draw: SimpleNamespace, now: Tensor) -> None:
        """Update stored logits of later classes, with probability 1 / times drawn in this task."""
        drawn = self.buffer.columns["drawn"]
        drawn[draw.rows] += 1
        coins = torch.rand(len(draw.rows), generator=self.generator).to(now.device)
        accepted = coins < 1 / drawn[draw.rows]
        newer = (torch.arange(now.shape[1], device=now.device) >= self.past).expand_as(now)
        stored = self.buffer.columns["logits"][draw.rows]  # including updates by the other draw
        fresh = self.updated(stored, now, draw.labels, newer)
        rows = torch.where(accepted[:, None], fresh, stored)
        self.buffer.columns["logits"][draw.rows] = rows

    @torch.no_grad()
    def end_task(self, task: Task) -> None:
        each = max(self.config.buffer // self.present, 1)
        rows = torch.cat([(task.labels == k).nonzero().flatten()[:each] for k in task.classes])
        with momentum(self.student, 0.0):
            parts = [self.logits(self.augment(x)) for x in task.images[rows].split(CHUNK)]
            new = {"images": task.images[rows], "labels": task.labels[rows]}
            now = torch.cat(parts)
            classes = torch.arange(now.shape[1], device=now.device)
            earlier = (classes < self.past).expand_as(now)
            new["logits"] = self.updated(now, now, new["labels"], earlier)
            new["drawn"] = torch.zeros_like(new["labels"])
            if held := self.buffer.held:
                labels = held["labels"]
                kept = [(labels == label).nonzero().flatten()[:each] for label in range(self.past)]
                held = {name: column[torch.cat(kept)] for name, column in held.items()}
                parts = [self.logits(self.augment(x)) for x in held["images"].split(CHUNK)]
                later = (classes >= self.past).expand(len(held["labels"]), -1)
                renewed = torch.cat(parts)
                held["logits"] = self.updated(held["logits"], renewed, held["labels"], later)
                new = {name: torch.cat([held[name], new[name]]) for name in new}
        self.buffer.fill(**{name: column[: self.config.buffer] for name, column in new.items()})


def polytope(corners: int) -> nn.Linear:
    """Return a fixed map to the corners of a regular simplex: unit vectors at equal angles."""
    centred = torch.eye(corners, dtype=torch.float64) - 1 / corners
    _, _, basis = torch.linalg.svd(centred)
    layer = nn.Linear(corners - 1, corners, bias=False, device="meta")
    corner = F.normalize(basis[:-1] @ centred, dim=0).T.float().contiguous()
    layer.weight = nn.Parameter(corner, requires_grad=False)
    return layer
