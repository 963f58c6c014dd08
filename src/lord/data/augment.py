"""Augmentation and normalisation of whole batches, on the device they live on."""

import torch
from torch import Generator, Tensor


class Augment:
    """Random crop and horizontal flip, each image its own, then normalisation.

    Args:
        mean, std: of each channel, in units of the full range (0 to 1).
        crop: pixels of black padding on each side before cropping; 0 for none.
        flip: whether half of the images are mirrored.
        generator: on the images' device.
    """

    def __init__(
        self,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        *,
        crop: int,
        flip: bool,
        generator: Generator,
    ) -> None:
        self.mean, self.std = mean, std
        self.crop, self.flip = crop, flip
        self.generator = generator
        self._scale = (1 / (255 * torch.tensor(std))).view(-1, 1, 1)
        self._shift = (-torch.tensor(mean) / torch.tensor(std)).view(-1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """N x C x H x W uint8 to N x C x H x W float32, channels-last."""
        if not (self.crop or self.flip):
            return self.normalise(images)
        count, _, height, width = images.shape
        device, pad = images.device, self.crop
        draw = torch.randint(
            2 * (2 * pad + 1) ** 2, (count,), generator=self.generator, device=device
        )
        mirrored, place = draw % 2, draw // 2
        rows = (place % (2 * pad + 1))[:, None] + torch.arange(height, device=device)
        columns = torch.arange(width, device=device).expand(count, width)
        if self.flip:
            columns = torch.where(mirrored[:, None].bool(), width - 1 - columns, columns)
        columns = columns + (place // (2 * pad + 1))[:, None]
        padded = torch.nn.functional.pad(images, (pad,) * 4).permute(0, 2, 3, 1)
        each = torch.arange(count, device=device)[:, None, None]
        chosen = padded[each, rows[:, :, None], columns[:, None, :]]
        return self.normalise(chosen.permute(0, 3, 1, 2))

    def normalise(self, images: Tensor) -> Tensor:
        """N x C x H x W uint8 to float32 of zero mean and unit deviation, nothing random."""
        if self._scale.device != images.device:  # once; afterwards the constants stay there
            self._scale, self._shift = self._scale.to(images.device), self._shift.to(images.device)
        floats = images.to(torch.float32, memory_format=torch.channels_last)
        return floats.mul_(self._scale).add_(self._shift)


def measure_normalisation(
    images: Tensor,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel of N x C x H x W uint8 images, as shares of 255."""
    counts = torch.zeros(images.shape[1], 256, device=images.device, dtype=torch.int64)
    for part in images.split(65536):  # mapped from a file, all may be more than memory holds
        each = (part[:, c].flatten() for c in range(part.shape[1]))
        counts += torch.stack([torch.bincount(values, minlength=256) for values in each])
    histogram = counts.double()
    levels = torch.arange(256, device=images.device, dtype=torch.float64) / 255
    mean = (histogram * levels).sum(1) / histogram.sum(1)
    std = ((histogram * levels**2).sum(1) / histogram.sum(1) - mean**2).clamp(min=0).sqrt()
    return tuple(mean.tolist()), tuple(std.clamp(min=1 / 255).tolist())
