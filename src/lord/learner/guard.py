"""A guard rail: a session is kept only if earlier sessions' held-out accuracy does not fall far."""

from lord.config import GuardRailError
from lord.learner.classifier import Classifier

LEAST = 20
"""Held-out images of earlier sessions that are needed. With fewer, one image is more than five
points, and nothing is checked."""


class Guard:
    """What a learner predicts for its held-out images before a session.

    Args:
        learner: the learner before the session.
    """

    def __init__(self, learner: Classifier) -> None:
        images = learner.held_out.columns.get("images")
        self.images = images if images is not None and len(images) >= LEAST else None
        self.before = None if self.images is None else learner.predict_proba(self.images).argmax(1)

    def check(self, learner: Classifier, tolerance: float) -> None:
        """Check that the learner after the session is about as accurate on these images.

        Labels are those of today, because the session may have corrected some. They count alike,
        whichever session they came in.

        Args:
            learner: the learner after the session.
            tolerance: points by which the accuracy may fall.

        Raises:
            GuardRailError: if it fell by more.
        """
        if self.images is None or self.before is None:
            return
        labels = learner.held_out.columns["labels"][: len(self.images)].numpy()
        after = learner.predict_proba(self.images).argmax(1)
        first, last = (100 * float((found == labels).mean()) for found in (self.before, after))
        if first - last > tolerance + 1e-9:
            raise GuardRailError(
                f"the session was not kept: accuracy on the {len(labels)} held-out images of "
                f"earlier sessions would fall from {first:.1f} to {last:.1f} %",
                hint=f"train longer, or set `tolerance` above {first - last:.1f} points",
            )
