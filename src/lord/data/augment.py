"""Augmentation and normalisation of whole batches, on their device."""

import torch
from torch import Generator, Tensor


class Augment:
    """Crop and mirror each image at random, then normalise it.

    >>> augment = Augment((0.5,), (0.25,), crop=1, flip=True, generator=Generator().manual_seed(0))
    >>> augment(torch.full((2, 1, 4, 4), 255, dtype=torch.uint8)).shape
    torch.Size([2, 1, 4, 4])

    Args:
        mean, std: mean and standard deviation of each channel, as shares of the full range, 0 to 1.
        crop: black padding on each side before the crop, in pixels; 0 for no crop.
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
        """Augment and normalise images.

        Args:
            images: N x C x H x W uint8.

        Returns:
            N x C x H x W float32, channels-last.
        """
        if not (self.crop or self.flip):
            return self.normalise(images)
        count, _, height, width = images.shape
        device, offsets = images.device, 2 * self.crop + 1
        # One number per image decides on mirroring, the row offset and the column offset.
        draw = torch.randint(2 * offsets**2, (count,), generator=self.generator, device=device)
        mirrored, place = draw % 2, draw // 2
        rows = (place % offsets)[:, None] + torch.arange(height, device=device)
        columns = torch.arange(width, device=device).expand(count, width)
        if self.flip:
            columns = torch.where(mirrored[:, None].bool(), width - 1 - columns, columns)
        columns = columns + (place // offsets)[:, None]
        padded = torch.nn.functional.pad(images, (self.crop,) * 4).permute(0, 2, 3, 1)
        each = torch.arange(count, device=device)[:, None, None]
        chosen = padded[each, rows[:, :, None], columns[:, None, :]]
        return self.normalise(chosen.permute(0, 3, 1, 2))

    def normalise(self, images: Tensor) -> Tensor:
        """Normalise images without augmentation.

        Args:
            images: N x C x H x W uint8.

        Returns:
            N x C x H x W float32, channels-last.
        """
        if self._scale.device != images.device:  # move the constants once
            self._scale, self._shift = self._scale.to(images.device), self._shift.to(images.device)
        floats = images.to(torch.float32, memory_format=torch.channels_last)
        return floats.mul_(self._scale).add_(self._shift)


def measure_normalisation(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, as shares of 255.

    Standard deviations are at least 1 / 255.

    Args:
        images: N x C x H x W uint8, possibly mapped from a file.
    """
    counts = torch.zeros(images.shape[1], 256, device=images.device, dtype=torch.int64)
    for part in images.split(65536):  # all mapped images at once may not fit into memory
        each = (part[:, c].flatten() for c in range(part.shape[1]))
        counts += torch.stack([torch.bincount(values, minlength=256) for values in each])
    histogram = counts.double()
    levels = torch.arange(256, device=images.device, dtype=torch.float64) / 255
    mean = (histogram * levels).sum(1) / histogram.sum(1)
    std = ((histogram * levels**2).sum(1) / histogram.sum(1) - mean**2).clamp(min=0).sqrt()
    return tuple(mean.tolist()), tuple(std.clamp(min=1 / 255).tolist())
