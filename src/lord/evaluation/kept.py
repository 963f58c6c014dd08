"""What is measured of a learner that is kept: plain data for tables, JSON and pages."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec


class ClassFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How well one class is recognised."""

    name: str
    images: int
    """Number of its images."""
    right: int
    """How many of them are predicted as this class."""
    predicted: int
    """Number of images of all classes that are predicted as this class."""
    recall: float | None
    """Share of its images that are predicted as this class, in percent; None without images."""
    precision: float | None
    """Share of the images predicted as this class that are of it, in percent."""


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """Images of one class that are predicted as another one."""

    label: str
    predicted: str
    images: int


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is predicted wrong."""

    file: str
    label: str
    predicted: str
    confidence: float
    """Probability of the predicted class, from 0 to 1."""
    picture: str | None = None
    """The image as a data URI, for a page."""


class Stranger(msgspec.Struct, frozen=True, kw_only=True):
    """A class of the images that the learner does not know."""

    name: str
    images: int
    predicted: str
    """The class that most of them are predicted as."""


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be read."""

    file: str
    reason: str


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """How well a learner recognises labelled images. Classes that it does not know are apart."""

    source: str
    """The images: a folder, or what they are in words."""
    images: int
    """Number of images of known classes."""
    accuracy: float | None
    """Share of them that is predicted right, in percent; None without images."""
    learned: int = 0
    """How many of them the learner was given before."""
    accuracy_new: float | None = None
    """Accuracy on the others, if some were given before."""
    classes: list[ClassFigures] = []
    confusions: list[Confusion] = []
    """Pairs of classes that are confused, the most frequent first."""
    worst: list[Mistake] = []
    """Mistakes, the most confident first."""
    strangers: list[Stranger] = []
    """Classes of the images that the learner does not know."""
    unreadable: list[Unreadable] = []


class Answer(msgspec.Struct, frozen=True):
    """The prediction of one labelled image."""

    file: str
    label: str
    predicted: str
    confidence: float
    learned: bool = False

    @property
    def right(self) -> bool:
        """Whether the prediction is right."""
        return self.label == self.predicted


def evaluation(
    source: str,
    classes: Sequence[str],
    answers: Iterable[Answer],
) -> Evaluation:
    """Return what predictions of labelled images say of a learner.

    >>> answers = [Answer("1", "cat", "cat", 0.9), Answer("2", "cat", "dog", 0.6)]
    >>> found = evaluation("week1", ["cat", "dog"], answers)
    >>> found.accuracy, found.classes[0].recall, found.classes[1].precision
    (50.0, 50.0, 0.0)

    Args:
        source: the images in words.
        classes: names of the classes that the learner knows.
        answers: a prediction for each image.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    new, new_right, learned = 0, 0, 0
    known = dict.fromkeys(classes)
    for answer in answers:
        pairs[answer.label, answer.predicted] += 1
        if answer.label in known:
            learned += answer.learned
            new += not answer.learned
            new_right += answer.right and not answer.learned
    counts: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    for (label, guess), number in pairs.items():
        counts[label] += number
        if label in known:
            predicted[guess] += number
    right = sum(pairs[name, name] for name in known)
    total = sum(counts[name] for name in known)
    return Evaluation(
        source=source,
        images=total,
        accuracy=_percent(right, total),
        learned=learned,
        accuracy_new=_percent(new_right, new) if learned else None,
        classes=[
            ClassFigures(
                name=name,
                images=counts[name],
                right=pairs[name, name],
                predicted=predicted[name],
                recall=_percent(pairs[name, name], counts[name]),
                precision=_percent(pairs[name, name], predicted[name]),
            )
            for name in known
        ],
        confusions=[
            Confusion(label=label, predicted=guess, images=number)
            for (label, guess), number in pairs.most_common()
            if label in known and label != guess
        ],
        strangers=_strangers(pairs, counts, known),
    )


def _strangers(
    pairs: Counter[tuple[str, str]], counts: Counter[str], known: dict[str, None]
) -> list[Stranger]:
    found = []
    for name in sorted(counts.keys() - known.keys()):
        guesses = {guess: n for (label, guess), n in pairs.items() if label == name}
        most = max(guesses, key=guesses.__getitem__)
        found.append(Stranger(name=name, images=counts[name], predicted=most))
    return found


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """An image that differs from those the learner knows."""

    file: str
    predicted: str
    distance: float
    """Its mean distance to held-out images minus that to other new images of the same class, as a
    share of the mean distance between images."""
    picture: str | None = None
    """The image as a data URI, for a page."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the images a class makes up, as predicted, in percent."""

    name: str
    before: float
    now: float


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """Whether images differ from those that a learner knows."""

    source: str
    shift: float
    """From 0, as alike as chance makes them, to about 1, nothing in common."""
    p: float
    """Probability of a shift at least as large if nothing had changed."""
    images: int
    """Number of images compared."""
    held_out: int
    """Number of held-out images compared with."""
    learned: int = 0
    """Images left out because the learner was given them before."""
    alone: int = 0
    """Images left out because too few held-out images are predicted as the same class."""
    moved: list[Moved] = []
    """The images that differ most, the most different first."""
    mix: list[Share] = []
    """Classes with the largest change of their share."""
    unreadable: list[Unreadable] = []
