"""What a learner answers of images: classes, probabilities, features, and how unusual they are."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from lord.config import UserError, convert
from lord.learner.held_out import HeldOut
from lord.learner.images import AnyImages, batches
from lord.learner.model import Prediction
from lord.methods import AnyMethod, Inputs, calibrated, kept_outputs

NOTHING = "the learner has not learned anything yet"


class Predictor:
    """Predicts images of any kind and size.

    Attributes:
        classes: names of the classes learned, in the order of the outputs.
        shape: channels, height and width of the images; None before the first session.
        method: the trained method; None before the first session.
        held_out: images set aside to measure accuracy.
    """

    classes: list[str]
    shape: tuple[int, int, int] | None
    method: AnyMethod | None
    held_out: HeldOut
    _inputs: Inputs | None

    @property
    def outputs(self) -> list[int]:
        """The method's output for each class. Merged and removed classes leave outputs unused."""
        method = self.method
        return kept_outputs(method.replaced, method.context.classes) if method else []

    def class_numbers(self, labels: Tensor) -> Tensor:
        """Return the number of the class of each label that the method knows, such as the buffer's.

        Args:
            labels: N int64, outputs of the method.
        """
        return torch.searchsorted(torch.tensor(self.outputs), labels.cpu())

    def predictions(
        self, images: AnyImages, *, unknown: bool = False, top: int = 1
    ) -> list[Prediction]:
        """Return the most likely class of each image, with its probability.

        Args:
            images: files, PIL images or arrays of any size; see ``lord.learner.images.AnyImages``.
            unknown: also tell how likely each image is of no class that was learned.
            top: number of classes to tell, with their probabilities.

        Raises:
            UserError: for images that do not fit, a file that cannot be read, a ``top`` that is no
                integer, or before the first session.
        """
        return list(self.stream(self._batches(images), unknown=unknown, top=top))

    def stream(
        self, parts: Iterable[Tensor], *, unknown: bool = False, top: int = 1
    ) -> Iterator[Prediction]:
        """Yield what ``predictions`` returns, for any number of images in little memory.

        Args:
            parts: batches of N x C x H x W uint8 images of the learner's shape.
            unknown, top: as for ``predictions``.
        """
        top = convert("top", top, int)
        known = self.known_scores() if unknown else None
        for part in parts:
            rows = self._probabilities_of(part)
            best = rows.topk(min(max(top, 1), rows.shape[1]), dim=1)
            scores = [None] * len(part)
            if known is not None:
                scores = calibrated(self.unknown_scores(part), known).tolist()
            found = zip(best.indices.tolist(), best.values.tolist(), scores, strict=True)
            for labels, values, score in found:
                names = [self.classes[label] for label in labels]
                ranked = tuple(zip(names, values, strict=True)) if top > 1 else ()
                yield Prediction(names[0], values[0], score, ranked)

    def features(self, images: AnyImages) -> Tensor:
        """Return the features of images, N x D float32.

        They are those of the backbone, of a network's last layer but one, or the pixels that a head
        without a backbone gets.

        Raises:
            UserError: for images that do not fit, a file that cannot be read, or before the first
                session.
        """
        method = self._trained()
        parts = [method.features(self._given(part)).cpu() for part in self._batches(images)]
        return torch.cat(parts).float() if parts else torch.empty(0, 0)

    def known_scores(self) -> Tensor:
        """Return how little images that were not learned resemble the known classes.

        They are the held-out images, and those that a closed-form head keeps for choices. They
        calibrate ``Prediction.unknown``: with n of them, it is at most n / (n + 1).
        """
        scores = self._trained().known_scores().cpu().double()
        held = self.held_out.columns.get("images")
        if held is None or not len(held):
            return scores
        return torch.cat([scores, self.unknown_scores(held)])

    def _probabilities(self, images: AnyImages) -> Tensor:
        """Return the probability of each class for each image, N x classes."""
        parts = [self._probabilities_of(part) for part in self._batches(images)]
        return torch.cat(parts) if parts else torch.empty(0, len(self.classes))

    def _probabilities_of(self, part: Tensor) -> Tensor:
        """Return the probability of each class for a batch of images of the learner's shape."""
        logits = self._trained().predict(self._given(part))[:, self.outputs]
        probabilities = logits.softmax(1)
        if not probabilities.isfinite().all():
            raise UserError(
                "the model's outputs are not finite",
                hint="a lower `lr` may help",
            )
        return probabilities

    def _batches(self, images: AnyImages) -> Iterator[Tensor]:
        self._trained()
        assert self.shape is not None
        return batches(images, self.shape)

    def unknown_scores(self, pixels: Tensor) -> Tensor:
        """Return how little each image resembles the known classes, N float64, on no fixed scale.

        Args:
            pixels: N x C x H x W uint8 images of the learner's shape.
        """
        method = self._trained()
        parts = [method.unknown_scores(self._given(part)).cpu() for part in pixels.split(256)]
        return torch.cat(parts).double()

    def _given(self, images: Tensor) -> Tensor:
        """Return what the method gets for images: the images, or their latents."""
        latents = self._inputs.latents if self._inputs else None
        return latents(images) if latents else images

    def _trained(self) -> AnyMethod:
        if self.method is None:
            raise UserError(NOTHING)
        return self.method
