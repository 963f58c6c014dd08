"""A learner that you keep: images arrive in sessions, with classes old and new."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Self

import msgspec
import torch
from torch import Generator, Tensor, nn

from lord.config import RefusedError, UserError, as_path, expect
from lord.data import Augment
from lord.learner import setup
from lord.learner.classifier import Classifier
from lord.learner.forgotten import Forgotten
from lord.learner.held_out import HeldOut
from lord.learner.images import Images, as_images, class_names, fingerprint
from lord.learner.length import session_budget
from lord.learner.older import upgraded
from lord.learner.saved import config_of, read
from lord.learner.seen import Seen
from lord.learner.session import OpenSession, Session
from lord.learner.setup import LearnerConfig, flat_settings, learner_config
from lord.methods import AnyMethod, Inputs, take_over
from lord.storage import checked_target, save_state
from lord.streams import Cursor, Task


class Learner(Classifier):
    """An image classifier that learns session after session, and predicts at any time.

    Images are N x C x H x W or N x H x W x C uint8, tensors or NumPy arrays, all of one size.

    >>> learner = Learner(network="cnn", width=8, epochs=1)
    >>> images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
    >>> learner.learn(images, ["cat", "dog"] * 20).new_classes
    ['cat', 'dog']
    >>> learner.learn(images, ["cat", "emu"] * 20).new_classes
    ['emu']
    >>> learner
    Learner(method='lord+', network='cnn', width=8): 2 sessions, 3 classes
    >>> learner.predict(images[:3]).shape
    (3,)

    It also works in scikit-learn's cross-validation, searches and pipelines.

    Args:
        method: name of a method that can take new classes.
        network: name of a network, or a module. Of a module, only the last layer is replaced.
        width: channels of the network's first stage. It is 32 for resnet8 and 16 for other names
            by default, and does not apply to a module.
        epochs: passes over a session's images. None: enough for 150 steps, but at least
            five and at most twenty.
        batch: images of a training step.
        seed: random seed.
        settings: settings of the method and of its optimizer, such as ``lr=0.1``.

    Attributes:
        classes: names of the classes learned, in the order of the outputs.
        sessions: what each session left behind.
        shape: channels, height and width of the images; None before the first session.
        method: the trained method; None before the first session.
        held_out: images set aside to measure accuracy.
        seen: digests of all images it was given.
        forgotten: what it forgot on request.
        config: the settings.
    """

    def __init__(
        self,
        method: str = "lord+",
        network: str | nn.Module = setup.NETWORK.network,
        width: int | None = None,
        epochs: int | None = None,
        batch: int = 32,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        named = {"method": method, "network": network, "width": width, "epochs": epochs}
        self._params = {**named, "batch": batch, "seed": seed, **settings}
        self.config = learner_config(self._params)
        self.classes: list[str] = []
        self.sessions: list[Session] = []
        self.shape: tuple[int, int, int] | None = None
        self.method: AnyMethod | None = None
        self.held_out, self.seen = HeldOut(), Seen()
        self.forgotten: list[Forgotten] = []
        self._augment: Augment | None = None
        self._inputs: Inputs | None = None
        self._generator = Generator().manual_seed(self.config.seed)
        self._open: OpenSession | None = None

    @classmethod
    def from_config(cls, config: LearnerConfig) -> Self:
        """Make a learner from a whole configuration.

        >>> Learner.from_config(LearnerConfig(epochs=2)).config.epochs
        2
        """
        expect("config", config, LearnerConfig, "a LearnerConfig")
        return cls(**flat_settings(config))

    def __getstate__(self) -> dict[str, Any]:
        return {"params": self._params, "state": self.state_dict()}

    def __setstate__(self, pickled: dict[str, Any]) -> None:
        network = pickled["params"]["network"]
        module = network if isinstance(network, nn.Module) else None
        restored = self.from_state(pickled["state"], module)
        vars(self).update(vars(restored), _params=pickled["params"])

    @property
    def unfinished(self) -> str | None:
        """Key of the session that began and has not ended; None if there is none."""
        return self._open.session.key if self._open else None

    @property
    def unfinished_source(self) -> str | None:
        """Where the images of the unfinished session come from; None if that is not known."""
        return self._open.session.source if self._open else None

    def learn(
        self,
        images: Images,
        labels: Sequence[str],
        *,
        key: str | None = None,
        source: str | None = None,
        seconds: float | None = None,
        flops: float | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> Session:
        """Learn one session's images, or continue a session that was interrupted.

        Args:
            images, labels: images, and the class name of each. New names become new classes.
            key: name of the session; its number by default.
            source: where the images come from, to be shown to people.
            seconds, flops: training budget, instead of a number of epochs.
            pause: called between steps, where ``save`` may be called.

        Returns:
            What the session cost, and what it left behind.

        Raises:
            UserError: for images or labels that do not fit, for a budget that the method cannot
                keep, or if another session is unfinished.
        """
        seconds, flops = session_budget(self.config.method, seconds, flops)
        images = as_images(images, self.shape)
        if not callable(pause):
            raise UserError(field="pause", given=pause, allowed="a function")
        labels, key = class_names(labels, len(images)), str(key or len(self.sessions) + 1)
        given = fingerprint(images, labels)
        opened = self._open or self._begin(images, labels, key, given, source)
        opened.check(key, given)
        opened.train(
            self._trained(),
            self._task(images, labels),
            seed=(self.config.seed, len(self.sessions)),
            seconds=seconds,
            flops=flops,
            pause=pause,
        )
        return self._end(opened)

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain values and (live) tensors."""
        augment = self._augment
        return {
            "config": msgspec.to_builtins(self.config),
            "classes": self.classes,
            "sessions": [msgspec.to_builtins(session) for session in self.sessions],
            "shape": self.shape,
            "normalisation": (augment.mean, augment.std) if augment else None,
            "weights": self._inputs.weights if self._inputs else None,
            "method": self.method.state_dict() if self.method else None,
            "held_out": vars(self.held_out),
            "seen": vars(self.seen),
            "forgotten": [msgspec.to_builtins(each) for each in self.forgotten],
            "generator": self._generator.get_state(),
            "open": self._open.state_dict() if self._open else None,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], network: nn.Module | None = None) -> Self:
        """Return the learner that ``state_dict`` described, or that of an earlier version.

        Any exception may be raised for a state that is not a learner's.

        Args:
            network: the module that the learner was made with, if any.

        >>> learner = Learner(network="cnn", width=8, epochs=1)
        >>> Learner.from_state(learner.state_dict()).config == learner.config
        True
        """
        state = upgraded(state)
        learner = cls.from_config(config_of(state, network))
        learner._restore(state)
        return learner

    def save(self, path: str | Path) -> None:
        """Write everything to a file in one step, and keep the file that was there beside it.

        Raises:
            UserError: if the file cannot be written, or another kind of file is in its place.
        """
        save_state({"learner": self.state_dict()}, checked_target(as_path("path", path)))

    @classmethod
    def load(cls, path: str | Path, network: nn.Module | None = None) -> Self:
        """Read a learner from a file of ``save``, or from the folder of ``lord learn``.

        Nothing in it is executed. If it is damaged, the file before it is read, with a warning.

        Args:
            network: the module that the learner was made with, if any. Its weights do not matter.

        Raises:
            UserError: if there is no learner, or none is whole.
        """
        return read(path, lambda state: cls.from_state(state, network))

    def _restore(self, state: dict[str, Any]) -> None:
        """Set a new learner to a state. Parts that older versions did not have are empty."""
        self.classes, self.shape = list(state["classes"]), state["shape"]
        self.sessions = [msgspec.convert(each, Session) for each in state["sessions"]]
        self.held_out, self.seen = HeldOut(**state["held_out"]), Seen(**state.get("seen", {}))
        self.forgotten = [msgspec.convert(each, Forgotten) for each in state.get("forgotten", [])]
        if state["method"] is not None:
            assert self.shape
            mean_std = state["normalisation"]
            inputs, augment = setup.prepare(self.config, self.shape, normalisation=mean_std)
            setup.check_weights(inputs, state.get("weights"))
            self._inputs, self._augment = inputs, augment
            outputs = len(self.classes) + len(state["method"].get("replaced", {}))
            self.method = self._widened(inputs, outputs, augment)
            self.method.load_state_dict(state["method"])
        self._generator.set_state(state["generator"])
        if state["open"]:
            cursor = Cursor(self.config.batch, self._generator)
            self._open = OpenSession.from_state(state["open"], cursor)

    def _begin(
        self, images: Tensor, labels: Sequence[str], key: str, given: str, source: str | None
    ) -> OpenSession:
        """Begin a session: add new classes, and set held-out images aside."""
        new = sorted(set(labels) - set(self.classes))
        if len(self.classes) + len(new) < 2:
            allowed = "at least two classes in the first session"
            raise RefusedError(f"all are '{new[0]}'", field="labels", allowed=allowed)
        if not len(self.held_out.rows_to_learn(images)):
            raise RefusedError("all of them are held-out images of this learner", field="images")
        shape = (images.shape[1], images.shape[2], images.shape[3])
        inputs, augment = self._inputs, self._augment
        if inputs is None or augment is None:
            inputs, augment = setup.prepare(self.config, shape, images)
        classes, method = self.classes + new, self.method
        if method is None or new:
            before = method.context.classes if method else 0
            method = self._widened(inputs, before + len(new), augment)
        # Nothing can be refused from here on.
        self.shape, self.classes, self.method = shape, classes, method
        self._inputs, self._augment = inputs, augment
        numbers, number = self._numbers(labels), len(self.sessions)
        self.held_out.set_aside(images, numbers, number)
        self.seen.add(images, numbers, number)
        session, threads = Session(key, len(images), new, source=source), torch.get_num_threads()
        cursor = Cursor(self.config.batch, self._generator)
        self._open = OpenSession(session, given, cursor, threads=threads)
        return self._open

    def _widened(self, inputs: Inputs, classes: int, augment: Augment) -> AnyMethod:
        """Return a method with more classes that knows what this one knows."""
        fresh = setup.make_method(self.config, inputs, classes, augment)
        if self.method is not None:
            take_over(fresh, self.method)
        return fresh

    def _task(self, images: Tensor, labels: Sequence[str]) -> Task:
        """Return the task of a session: its images without the held-out ones."""
        numbers = torch.tensor(self.outputs)[self._numbers(labels)]
        rows = self.held_out.rows_to_learn(images)
        classes, learned = tuple(sorted(set(numbers[rows].tolist()))), self._given(images[rows])
        return Task(len(self.sessions), classes, learned, numbers[rows]).to(numbers.device)

    def _end(self, opened: OpenSession) -> Session:
        session = opened.session
        session.steps, session.level = opened.done, getattr(self.method, "level", None)
        session.date = date.today().isoformat()
        self.sessions.append(session)
        self._open = None
        session.held_out = self.held_out_accuracy()
        return session

    def _numbers(self, labels: Sequence[str]) -> Tensor:
        index = {name: number for number, name in enumerate(self.classes)}
        return torch.tensor([index[label] for label in labels])
