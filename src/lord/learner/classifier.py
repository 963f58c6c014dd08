"""What a learner answers, in our terms and in scikit-learn's."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from lord.backbone import Backbone
from lord.config import UserError, choose
from lord.data import Augment
from lord.learner.forgotten import Forgotten
from lord.learner.held_out import mean_forgetting
from lord.learner.images import AnyImages, Images, class_names
from lord.learner.predictor import NOTHING, Predictor
from lord.learner.seen import Seen
from lord.learner.session import Session
from lord.learner.setup import LearnerConfig

if TYPE_CHECKING:
    from sklearn.utils import Tags


class Classifier(Predictor, ABC):
    """A classifier of images. For scikit-learn, X are images and y are class names.

    This differs from scikit-learn: X has four dimensions, and y holds text. Probabilities have the
    order in which classes were learned. Errors are ``lord.UserError``.

    >>> from lord import Learner
    >>> X = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    >>> learner = Learner(network="cnn", width=8, epochs=1).fit(X, ["cat", "dog"] * 20)
    >>> learner.classes_.tolist(), learner.predict_proba(X[:5]).shape
    (['cat', 'dog'], (5, 2))
    """

    sessions: list[Session]
    seen: Seen
    config: LearnerConfig
    forgotten: list[Forgotten]
    _params: dict[str, Any]
    _augment: Augment | None

    @abstractmethod
    def learn(self, images: Images, labels: Sequence[str]) -> object:
        """Learn one session's images."""

    def evaluate(self, images: AnyImages, labels: Sequence[str]) -> float:
        """Return the accuracy on images, in percent.

        Args:
            images: at least one.
            labels: class name of each image, all of them learned.

        Raises:
            UserError: for images or labels that do not fit, or before the first session.
        """
        found = self.predictions(images)
        names = class_names(labels, len(found))
        for name in set(names):
            choose("labels", name, self.classes)
        right = sum(each.label == name for each, name in zip(found, names, strict=True))
        return 100 * right / len(names)

    def held_out_accuracy(self) -> list[float]:
        """Return the accuracy on the held-out images of each session, in percent.

        It is nan for a session that has none.
        """
        columns, sessions = self.held_out.columns, range(len(self.sessions))
        if not columns or not len(columns["labels"]):
            return [float("nan") for _ in sessions]
        right = self._probabilities(columns["images"]).argmax(1) == columns["labels"]
        parts = [right[columns["sessions"] == number].double() for number in sessions]
        return [100 * float(part.mean()) for part in parts]  # the mean of no image is nan

    @property
    def backbone(self) -> Backbone | None:
        """The frozen network that it starts from; None without one, or before the first session."""
        return self._inputs.frozen if self._inputs else None

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, measured on the first session's images."""
        if self._augment is None:
            raise UserError(NOTHING)
        return self._augment.mean, self._augment.std

    @property
    def forgetting(self) -> float | None:
        """Mean drop of earlier sessions' held-out accuracy from its best, in points."""
        return mean_forgetting([session.held_out for session in self.sessions])

    @property
    def classes_(self) -> NDArray[np.str_]:
        """Class names in the order of ``predict_proba``'s columns: the order they were learned."""
        return np.array(self.classes, dtype=np.str_)

    def fit(self, X: Images, y: Sequence[str]) -> Self:
        """Forget everything, and learn images as the first session.

        If they are refused, nothing is forgotten. To learn more, use ``learn`` or ``partial_fit``.

        Raises:
            UserError: for images or labels that do not fit.
        """
        fresh = type(self)(**self._params)
        fresh.learn(X, y)
        vars(self).update(vars(fresh))
        return self

    def partial_fit(self, X: Images, y: Sequence[str], classes: object = None) -> Self:
        """Learn images as one more session.

        Args:
            classes: not used, because new classes may come in any session.

        Raises:
            UserError: for images or labels that do not fit.
        """
        self.learn(X, y)
        return self

    def predict(self, X: AnyImages) -> NDArray[np.str_]:
        """Return the name of the most likely class of each image.

        Raises:
            UserError: for images that do not fit, or before the first session.
        """
        return self.classes_[self._probabilities(X).max(1).indices.numpy()]

    def predict_proba(self, X: AnyImages) -> NDArray[np.float32]:
        """Return the probability of each class for each image, N x classes.

        Raises:
            UserError: for images that do not fit, or before the first session.
        """
        return self._probabilities(X).numpy()

    def score(self, X: AnyImages, y: Sequence[str]) -> float:
        """Return the share of images whose class is predicted, from 0 to 1.

        A class that was never learned counts as wrong. ``evaluate`` refuses it.

        Raises:
            UserError: for images or labels that do not fit, or before the first session.
        """
        found = self.predict(X)
        return float(np.mean(found == np.array(class_names(y, len(found)))))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings the learner was made with.

        Args:
            deep: not used, because no setting is an estimator.
        """
        return dict(self._params)

    def set_params(self, **params: Any) -> Self:
        """Change settings before the first session.

        Raises:
            UserError: for a setting that is not allowed, or after the first session.
        """
        if self.classes and params:
            raise UserError(
                "cannot change after the first session",
                field=min(params),
                hint="make a new learner",
            )
        vars(self).update(vars(type(self)(**{**self._params, **params})))
        return self

    def __repr__(self) -> str:
        network, sessions, classes = self.config.network, len(self.sessions), len(self.classes)
        settings = f"method={self.config.method!r}, network={network.network!r}"
        count = f"{sessions} session{'s' * (sessions != 1)}, {classes} class{'es' * (classes != 1)}"
        return f"Learner({settings}, width={network.width}): {count}"

    def __sklearn_is_fitted__(self) -> bool:
        return bool(self.classes)

    def __sklearn_tags__(self) -> "Tags":
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags  # noqa: PLC0415

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(two_d_array=False),
        )
