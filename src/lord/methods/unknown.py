"""Scores that tell images of unknown classes from images of known ones."""

import torch
import torch.nn.functional as F
from torch import Tensor


def dissimilarity(features: Tensor, means: Tensor) -> Tensor:
    """Return how little each row resembles any class; higher is more likely unknown.

    It is minus the sum of two cosines between a row and its nearest mean. The first one is that of
    features as they are. It finds images that differ from all photographs, such as letters. The
    second one is that of features around the mean of all classes. It finds other photographs.

    >>> dissimilarity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.eye(2)).round(decimals=2)
    tensor([-2.0000, -0.4500], dtype=torch.float64)

    Args:
        features: N x width.
        means: mean feature of each class, classes x width.

    Returns:
        N float64, from -2 to 2; zeros if there is no class.
    """
    if not len(means):
        return torch.zeros(len(features), dtype=torch.float64)
    x, means = features.double().cpu(), means.double().cpu()
    centre = means.mean(0)
    return -_nearest(x, means) - _nearest(x - centre, means - centre)


def _nearest(x: Tensor, means: Tensor) -> Tensor:
    """Return the largest cosine between each row and a mean."""
    return (F.normalize(x, dim=1) @ F.normalize(means, dim=1).T).max(1).values


def calibrated(scores: Tensor, known: Tensor) -> Tensor:
    """Return how unusual scores are among those of known images, from 0 to 1.

    1 minus the result is a conformal p-value: the share of known images with a score at least as
    high, where the image itself counts as one of them. So at most 5 % of new images of known
    classes get 0.95 or more (Vovk et al. 2005).

    >>> known = torch.arange(9.0)
    >>> calibrated(torch.tensor([-1.0, 4.5, 9.0]), known).tolist()
    [0.0, 0.5, 0.9]

    Args:
        scores: N; higher is more likely unknown.
        known: M scores of images of known classes that were not learned.
    """
    order = known.to(scores).sort().values
    lower = torch.searchsorted(order, scores.contiguous())
    return lower.double() / (len(known) + 1)
