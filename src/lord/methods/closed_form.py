"""Heads computed from sums over features: they forget nothing, in any order of tasks."""

import math
import zlib
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lord.config.types import Natural
from lord.costs import stated
from lord.methods.context import Batch, Context
from lord.methods.method import Method, MethodConfig, Scalars, Traits
from lord.methods.optim import Progress
from lord.methods.sums import Sums
from lord.methods.unknown import dissimilarity
from lord.streams import Task

TEMPERATURES = tuple(2 ** (k / 2) for k in range(-4, 29))
"""Temperatures to choose from."""
EMPTY = -1e30
"""Logit of a class without images. Those of other classes can be far below -1e6."""
APART, REST = 10, 3
"""An image is kept for choices if its checksum leaves this rest. A learner's held-out images leave
another rest."""


class ClosedFormConfig(MethodConfig, frozen=True):
    """Settings of every closed-form head."""

    kept: Natural = 10
    """Most images of a class whose features are kept. Choices such as the temperature are made on
    them, with a head that has not learned them."""


C = TypeVar("C", bound=ClosedFormConfig, covariant=True)


class ClosedForm(Method[C]):
    """A linear classifier of features, computed from sums over all images.

    Features are those of the frozen backbone. Without a backbone, they are the image's pixels.
    Each image of a task is added once, whatever the number of epochs. There is no gradient and no
    buffer of images.
    """

    traits = Traits(by_steps=False, waits=True, features="only")
    STATE: ClassVar[tuple[str, ...]] = ("sums", "added", "kept", "fresh")
    CANDIDATES: ClassVar[tuple[float, ...]] = (0.0,)
    """Values of the setting that ``fit`` takes. The best one on the images kept is used."""
    FULL: ClassVar[bool] = True
    """Whether the head needs the covariance of features."""

    def __init__(self, config: C, context: Context) -> None:
        super().__init__(config, context)
        self.student = self.layers(self.student).requires_grad_(False).to(self.device)
        head = self.head
        self.sums = Sums(head.out_features, head.in_features, self.FULL)
        self.added = torch.empty(0, dtype=torch.bool)
        """Whether each image of the present task has been added."""
        none = torch.empty(0, dtype=torch.int64)
        self.kept = {"keys": none, "labels": none, "features": torch.empty(0, head.in_features)}
        """Checksum, label and features of the images kept for choices."""
        self.fresh = False
        """Whether the head's weights are those of the sums."""

    @property
    def head(self) -> nn.Linear:
        """The linear layer that the sums decide."""
        head = self.student[-1] if isinstance(self.student, nn.Sequential) else self.student
        assert isinstance(head, nn.Linear)
        return head

    def layers(self, head: nn.Module) -> nn.Module:
        """Return the student for a linear layer from features to classes."""
        return head

    @abstractmethod
    def fit(self, sums: Sums, candidate: float) -> tuple[Tensor, Tensor]:
        """Return weight, classes x width, and bias of the head for some sums."""

    @property
    def resting(self) -> bool:
        return bool(self.added.all())  # further epochs add nothing

    def begin_task(self, task: Task) -> None:
        self.added = torch.zeros(len(task.labels), dtype=torch.bool)

    def step(self, batch: Batch, progress: Progress) -> Scalars:
        self._add(batch.images, batch.labels, batch.places.cpu())
        return {"loss": torch.zeros(())}

    def end_task(self, task: Task) -> None:
        rest = (~self.added).nonzero().flatten()  # an epoch can leave out a last batch of one
        self._add(task.images[rest], task.labels[rest], rest)
        self.solve()

    def _add(self, images: Tensor, labels: Tensor, places: Tensor) -> None:
        """Add those images of the present task that were not added yet."""
        new: dict[int, int] = {}  # the only image of a task comes twice in a batch
        for row, (place, known) in enumerate(
            zip(places.tolist(), self.added[places].tolist(), strict=True)
        ):
            if not known:
                new.setdefault(place, row)
        if new:
            self.added[places] = True
            rows = list(new.values())
            self.learn(images[rows], labels[rows])

    @torch.no_grad()
    def learn(self, images: Tensor, labels: Tensor, sign: int = 1) -> None:
        """Add images to the sums. With ``sign=-1``, subtract images that were added."""
        lifted = self.lifted(images)
        with stated(self.sums.flops(len(images))):
            self.sums.add(lifted, labels, sign)
            self._keep(images.cpu(), labels.cpu(), lifted.cpu(), sign)
        if sign < 0 and not self.sums.counts.any():
            self.head.weight.zero_()
            self.head.bias.zero_()
        self.fresh = False

    def merge_class(self, label: int, into: int) -> None:
        """Count the images of a class as those of another class, exactly."""
        self.sums.merge(label, into)
        labels = torch.where(self.kept["labels"] == label, into, self.kept["labels"])
        self._keep_lowest({**self.kept, "labels": labels})
        self.fresh = False

    def remove_class(self, label: int) -> None:
        """Subtract a class, so that it is not predicted. See ``Sums.remove``."""
        self.sums.remove(label)
        rest = self.kept["labels"] != label
        self.kept = {name: column[rest] for name, column in self.kept.items()}
        self.fresh = False

    def features(self, images: Tensor) -> Tensor:
        """Return the features of N x C x H x W uint8 images, N x D."""
        backbone = self.context.backbone
        return (backbone(images) if backbone else self.augment.normalise(images)).flatten(1)

    def lifted(self, images: Tensor) -> Tensor:
        """Return what the head gets for images."""
        x = self.features(images)
        return self.student[:-1](x) if isinstance(self.student, nn.Sequential) else x

    @torch.no_grad()
    def solve(self) -> None:
        """Compute the head from the sums."""
        if self.fresh or not self.sums.counts.sum():
            return
        candidate, temperature = self._choices()
        weight, bias = self.fit(self.sums, candidate)
        bias = torch.where(self.sums.counts > 0, bias / temperature, EMPTY)
        self.head.weight.copy_(weight / temperature)
        self.head.bias.copy_(bias)
        self.fresh = True

    def predict(self, images: Tensor) -> Tensor:
        self.solve()
        with torch.no_grad():
            return self.student(self.features(images))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        now, saved = self.student.state_dict(), state["student"]
        wider = any(saved[name].shape != tensor.shape for name, tensor in now.items())
        if wider:  # with more classes, the head is computed from the sums again
            saved = {n: t if t.shape == now[n].shape else now[n] for n, t in saved.items()}
        super().load_state_dict({**state, "student": saved})
        self.added, self.fresh = self.added.cpu(), self.fresh and not wider
        self.kept = {name: column.cpu() for name, column in self.kept.items()}

    def _choices(self) -> tuple[float, float]:
        """Return candidate and temperature with the lowest cross-entropy on the images kept."""
        labels, found = self.kept["labels"], []
        if not len(labels):
            return self.CANDIDATES[len(self.CANDIDATES) // 2], 1.0
        sums = self.sums.without(self.kept["features"], labels)
        for candidate in self.CANDIDATES:
            logits = self._logits_of_kept(sums, candidate)
            known = sums.counts[labels] > 0
            losses = [
                float(F.cross_entropy(logits[known] / t, labels[known])) if known.any() else 0.0
                for t in TEMPERATURES
            ]
            best = min(range(len(losses)), key=losses.__getitem__)
            found.append((losses[best], candidate, TEMPERATURES[best]))
        return min(found)[1:]

    def held_logits(self) -> Tensor:
        """Return the logits of the images kept, by a head that has not learned them."""
        candidate, temperature = self._choices()
        sums = self.sums.without(self.kept["features"], self.kept["labels"])
        return (self._logits_of_kept(sums, candidate) / temperature).float()

    @torch.no_grad()
    def unknown_scores(self, images: Tensor) -> Tensor:
        return dissimilarity(self.lifted(images), self.sums.means()[self.sums.counts > 0])

    def known_scores(self) -> Tensor:
        rows, labels = self.kept["features"], self.kept["labels"]
        sums = self.sums.without(rows, labels)
        rest = sums.counts > 0
        return dissimilarity(rows[rest[labels]], sums.means()[rest])

    def _logits_of_kept(self, sums: Sums, candidate: float) -> Tensor:
        weight, bias = self.fit(sums, candidate)
        bias = torch.where(sums.counts > 0, bias, EMPTY)
        return self.kept["features"].double() @ weight.T + bias

    def bytes_to_come(self, images: int) -> int:
        """Return the bytes of the rows that may still be kept, and of ``added``."""
        image = torch.zeros(1, *self.context.shape, dtype=torch.uint8)
        columns = self.columns(image, torch.zeros(1, self.head.in_features))
        row = 16 + sum(column.nbytes for column in columns.values())  # checksum and label: 16
        rows = self.config.kept * self.head.out_features - len(self.kept["labels"])
        return rows * row + images - len(self.added)

    def columns(self, images: Tensor, lifted: Tensor) -> dict[str, Tensor]:
        """Return what is kept of some images, in addition to checksums and labels."""
        return {"features": lifted}

    def is_kept(self, images: Tensor) -> Tensor:
        """Return whether each image is kept for choices, N bool."""
        return torch.isin(_keys(images.cpu()), self.kept["keys"])

    def _keep(self, images: Tensor, labels: Tensor, features: Tensor, sign: int) -> None:
        """Keep some rows for choices, or drop rows that are subtracted.

        Their content selects them: of each class, the lowest checksums. So the order in which
        images come does not matter.
        """
        keys = _keys(images)
        chosen = keys >= 0
        if not chosen.any():
            return
        new = {"keys": keys[chosen], "labels": labels[chosen]}
        new |= self.columns(images[chosen], features[chosen])
        held = self.kept if len(self.kept["labels"]) else {n: c[:0] for n, c in new.items()}
        if sign < 0:
            gone = torch.isin(held["keys"], new["keys"])
            self.kept = {name: column[~gone] for name, column in held.items()}
            return
        self._keep_lowest({name: torch.cat([held[name], new[name]]) for name in held})

    def _keep_lowest(self, joined: dict[str, Tensor]) -> None:
        order = joined["keys"].argsort(stable=True)
        ranks = rank_within(joined["labels"][order])
        rows = order[ranks < self.config.kept].sort().values
        self.kept = {name: column[rows] for name, column in joined.items()}


def _keys(images: Tensor) -> Tensor:
    """Return a key for each image that may be kept, and -1 for the others."""
    sums = [zlib.crc32(image.contiguous().numpy().data) for image in images]
    return torch.tensor([s // APART if s % APART == REST else -1 for s in sums])


def rank_within(labels: Tensor) -> Tensor:
    """Return how many earlier rows have the same label, for each row.

    >>> rank_within(torch.tensor([2, 0, 2, 2, 0]))
    tensor([0, 0, 1, 2, 1])
    """
    order = labels.argsort(stable=True)
    places = torch.arange(len(labels))
    firsts = torch.searchsorted(labels[order], labels[order])
    ranks = torch.empty_like(places)
    ranks[order] = places - firsts
    return ranks


def oas_shrinkage(covariance: Tensor, rows: float) -> float:
    """Return the share of the identity by Oracle Approximating Shrinkage (Chen et al. 2010).

    It is defined as in ``sklearn.covariance.oas``.

    Args:
        covariance: width x width, divided by the number of rows.
        rows: number of rows.

    >>> oas_shrinkage(torch.eye(3), 10)
    1.0
    """
    width = len(covariance)
    mean, squares = float(covariance.trace()) / width, float((covariance**2).mean())
    above = squares + mean**2
    below = (rows + 1) * (squares - mean**2 / width)
    return 1.0 if below <= 0 or math.isclose(below, 0) else min(above / below, 1.0)
