"""The accuracy matrices of a run, from the scores that its loop collected."""

from typing import TYPE_CHECKING

from lord.evaluation import Matrices

if TYPE_CHECKING:
    from lord.training.loop import Loop


def matrices_of(loop: "Loop") -> Matrices:
    """Return the accuracies after each task, before it, and within it."""
    trained = [scores for scores, _ in loop.scores]
    recomputed = [scores for _, scores in loop.scores if scores]
    return Matrices(
        [scores.class_il for scores in trained],
        [scores.task_il for scores in trained],
        [scores.class_il for scores in recomputed] or None,
        [scores.task_il for scores in recomputed] or None,
        before=loop.before,
        untrained=loop.untrained,
        # A run that an old version began lacks some of these.
        before_class_il=loop.before_class_il if loop.untrained_class_il else None,
        untrained_class_il=loop.untrained_class_il or None,
        between=loop.between,
        anytime=loop.anytime,
    )
