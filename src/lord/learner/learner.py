"""A learner that is kept: images arrive in sessions, for months, old classes and new ones."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Generator, Tensor, nn

from lord.config import UserError, as_path, choose, first_line
from lord.costs import FlopCount
from lord.data import Augment, measure_normalisation
from lord.learner import setup
from lord.learner.exam import Exam, mean_fall
from lord.learner.model import Prediction
from lord.learner.session import (
    STATE_FILE,
    Course,
    Session,
    billed,
    check_images,
    class_names,
    fingerprint,
)
from lord.learner.setup import LearnerConfig, learner_config
from lord.methods import AnyMethod, Batch, Progress, take_over, take_step
from lord.storage import load_state, own_file, save_state
from lord.streams import Task, batches


class Learner:
    """Learns session after session; predicts at any time.

    >>> learner = Learner(width=8, network="cnn", epochs=1)
    >>> images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
    >>> learner.learn(images, ["cat", "dog"] * 20).new_classes
    ['cat', 'dog']
    >>> learner.learn(images, ["cat", "emu"] * 20).new_classes
    ['emu']
    >>> len(learner.predict(images[:3]))
    3

    Args:
        config: everything at once; or
        settings: by name: of LearnerConfig, of the network, the method and the optimizer.
    """

    def __init__(self, config: LearnerConfig | None = None, **settings: Any) -> None:
        self.config = setup.settled(config, settings)
        self.classes: list[str] = []
        self.sessions: list[Session] = []
        self.shape: tuple[int, int, int] | None = None
        self.method: AnyMethod | None = None
        self.exam = Exam()
        self._augment: Augment | None = None
        self._generator = Generator().manual_seed(self.config.seed)
        self._course: Course | None = None

    @property
    def unfinished(self) -> str | None:
        """Key of the session that was begun and has not ended."""
        return self._course.session.key if self._course else None

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of each channel, measured on the first session's images.

        Raises:
            UserError: before that.
        """
        if self._augment is None:
            raise UserError("nothing was learnt yet")
        return self._augment.mean, self._augment.std

    def learn(
        self,
        images: Tensor,
        labels: Sequence[str],
        *,
        key: str | None = None,
        seconds: float | None = None,
        flops: float | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> Session:
        """Learn one session's images; go on with it, if it was interrupted.

        Args:
            images: N x C x H x W uint8, of the size of those before.
            labels: class name of each; new names become new classes, old classes may come back.
            key: names the session; by default its number.
            seconds, flops: what it may cost, instead of a number of epochs.
            pause: called between steps, where ``save`` may be called.

        Raises:
            UserError: for what does not fit, or where another session is unfinished.
        """
        setup.bounded(self.config, seconds, flops)
        check_images(images, self.shape)
        if not callable(pause):
            raise UserError(f"pause: expected a function, got {pause!r}")
        labels, key = class_names(labels, len(images)), str(key or len(self.sessions) + 1)
        own = self._course and (self._course.session.key, self._course.given)
        if own and own != (key, fingerprint(images, labels)):
            raise UserError(f"session '{own[0]}' is to be finished first, on its own images")
        if not self._course:
            self._enrol(images, labels, key)
        course, method = self._course, self.method
        assert course
        assert method
        session, seed = course.session, (self.config.seed, len(self.sessions))
        task = self._task(images, labels)
        with FlopCount() as count:
            if not course.done:
                with billed(course, count, *seed):
                    method.begin_task(task)
            while not course.total or course.done < course.total:
                with billed(course, count, *seed):
                    self._step(task, course)
                spent = session.seconds if seconds else session.flops
                if not (budget := seconds or flops):
                    course.total = course.total or method.context.steps(task)
                else:
                    course.settle(budget, spent)
                pause()
            with billed(course, count, *seed):
                method.end_task(task)
        session.steps, session.level = course.done, getattr(method, "level", None)
        self.sessions.append(session)
        self._course = None
        session.exam = self.examined()
        return session

    def predict(self, images: Tensor) -> list[Prediction]:
        """The most likely class of each image. images: N x C x H x W uint8.

        Raises:
            UserError: for images of another size, or before anything was learnt.
        """
        method, found = self._method(), []
        check_images(images, self.shape)
        for part in images.split(256):
            best = method.predict(part)[:, : len(self.classes)].softmax(1).max(1)
            if not best.values.isfinite().all():
                raise UserError("what was learnt is no number any more: lr was too high")
            pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
            found += [Prediction(self.classes[label], sure) for sure, label in pairs]
        return found

    def evaluate(self, images: Tensor, labels: Sequence[str]) -> float:
        """Share of the images whose class is predicted, in percent.

        Args:
            images: N x C x H x W uint8; at least one.
            labels: class name of each.

        Raises:
            UserError: for what does not fit, a class never learnt, or before anything was learnt.
        """
        found = self.predict(images)
        labels = class_names(labels, len(found))
        for label in set(labels):
            choose("class", label, self.classes)
        right = sum(p.label == label for p, label in zip(found, labels, strict=True))
        return 100 * right / len(labels)

    def examined(self) -> list[float]:
        """Accuracy on the exam images of each session, in percent; nan where it has none."""
        shares = []
        for number in range(len(self.sessions)):
            images, labels = self.exam.of(number)
            names = [self.classes[label] for label in labels.tolist()]
            shares.append(self.evaluate(images, names) if names else float("nan"))
        return shares

    @property
    def forgetting(self) -> float | None:
        """Mean fall of the accuracy on each earlier session's exam from its best, in points."""
        return mean_fall([session.exam for session in self.sessions])

    def state_dict(self) -> dict[str, Any]:
        """Everything: plain values and tensors."""
        augment, course = self._augment, self._course
        return {
            "config": msgspec.to_builtins(self.config),
            "classes": self.classes,
            "sessions": [msgspec.to_builtins(session) for session in self.sessions],
            "shape": self.shape,
            "normalisation": (augment.mean, augment.std) if augment else None,
            "method": self.method.state_dict() if self.method else None,
            "exam": vars(self.exam),
            "generator": self._generator.get_state(),
            "course": course and vars(course) | {"session": msgspec.to_builtins(course.session)},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Learner":
        """The learner ``state`` was taken from; what is none raises all that ``load`` catches."""
        learner = cls(msgspec.convert(state["config"], LearnerConfig))
        learner.classes = list(state["classes"])
        learner.sessions = [msgspec.convert(own, Session) for own in state["sessions"]]
        learner.shape, learner.exam = state["shape"], Exam(**state["exam"])
        if state["method"] is not None:
            assert learner.shape
            mean, std = state["normalisation"]
            learner._augment = setup.augmentation(learner.shape, learner.config.seed, mean, std)
            learner.method = setup.make_method(
                learner.config, learner.shape, len(learner.classes), learner._augment
            )
            learner.method.load_state_dict(state["method"])
        learner._generator.set_state(state["generator"])
        if state["course"]:
            own = state["course"]
            learner._course = Course(**own | {"session": msgspec.convert(own["session"], Session)})
        return learner

    def save(self, path: str | Path) -> None:
        """Write everything to the file ``path``, atomically; the state there was is kept beside it.

        Raises:
            UserError: if it cannot be written, or there is something else.
        """
        save_state({"learner": self.state_dict()}, own_file(as_path("path", path)))

    @classmethod
    def load(
        cls, path: str | Path, network: nn.Module | None = None
    ) -> tuple["Learner", str | None]:
        """The learner saved at ``path``, a file or the folder of ``lord learn``, and what is to be
        said if that file was damaged.

        Args:
            network: the module it was made with, if it was one; any weights will do.

        Raises:
            UserError: if there is none, or none is whole.
        """
        path = as_path("path", path)
        state, note = load_state(path := path / STATE_FILE if path.is_dir() else path)
        own = None if network is None else learner_config({"network": network}).network
        try:
            if own:
                state["learner"]["config"]["network"]["network"] = own.network
            return cls.from_state(state["learner"]), note
        except Exception as error:  # any value in it may be another
            raise UserError(f"'{path}' is not a learner's state: {first_line(error)}") from None

    def _enrol(self, images: Tensor, labels: Sequence[str], key: str) -> None:
        """Begin a session: new classes, exam images, room in the head."""
        new = sorted(set(labels) - set(self.classes))
        if len(self.classes) + len(new) < 2:
            raise UserError(f"only one class ({', '.join(new)}); the first session needs two")
        if not len(self.exam.others(images)):
            raise UserError("images: all of them are kept apart to examine what was learnt")
        given = fingerprint(images, labels)
        shape, seed = (images.shape[1], images.shape[2], images.shape[3]), self.config.seed
        augment = self._augment or setup.augmentation(shape, seed, *measure_normalisation(images))
        classes, method = self.classes + new, self.method
        if method is None or new:
            method = self._widened(shape, len(classes), augment)
        # All that could be refused has been: from here on this is what was learnt.
        self.shape, self._augment, self.classes, self.method = shape, augment, classes, method
        self.exam.keep(images, self._numbers(labels), len(self.sessions))
        session = Session(key=key, images=len(images), new_classes=new)
        self._course = Course(session, given, threads=torch.get_num_threads())

    def _widened(self, shape: tuple[int, int, int], classes: int, augment: Augment) -> AnyMethod:
        """A method of so many outputs, which knows what this one knows."""
        fresh = setup.make_method(self.config, shape, classes, augment)
        if self.method is not None:
            take_over(fresh, self.method)
        return fresh

    def _task(self, images: Tensor, labels: Sequence[str]) -> Task:
        """What is learnt of a session: all but its exam images."""
        numbers = self._numbers(labels)
        rows = self.exam.others(images)
        classes = tuple(sorted(set(numbers[rows].tolist())))
        return Task(len(self.sessions), classes, images[rows], numbers[rows]).to(numbers.device)

    def _step(self, task: Task, course: Course) -> None:
        cut = batches(len(task.labels), self.config.batch)
        if course.order is None or course.place == len(cut):
            course.order = torch.randperm(len(task.labels), generator=self._generator)
            course.place = 0
        rows = course.order[cut[course.place]]
        if len(rows) == 1:  # twice, augmented apart: batch-norm cannot take one
            rows = rows.repeat(2)
        method = self._method()
        progress = Progress(course.done, course.total or method.context.steps(task))
        scalars = take_step(method, Batch(task.images[rows], task.labels[rows], rows), progress)
        course.place, course.done = course.place + 1, course.done + 1
        if not scalars["loss"].isfinite():
            raise UserError("the loss is no number: --abandon, or a new learner with a lower lr")

    def _method(self) -> AnyMethod:
        if self.method is None:
            raise UserError("nothing was learnt yet")
        return self.method

    def _numbers(self, labels: Sequence[str]) -> Tensor:
        index = {name: number for number, name in enumerate(self.classes)}
        return torch.tensor([index[label] for label in labels])
