"""Measure how much of what random filters see is the brightness, for images of 32 x 32 pixels.

    python benchmarks/first_filters.py cifar10 tiny-imagenet domains/sprites domains/spectrograms

The filters are as large as those that read the images in ``resnet8``. Their response has a variance
over windows. For random weights it is, on average, the mean variance over all frequencies. The
script prints the share of the lowest frequency, which is the brightness of the window.
"""

import argparse

import torch.nn.functional as F

from lord.data import DataConfig, load_images
from lord.networks import ResNet8
from lord.networks.stem import frequencies

IMAGES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="+", help="paths of images")
    for path in parser.parse_args().data:
        images = load_images(DataConfig(data=path, resize=32)).train_images
        chosen = images[:: max(len(images) // IMAGES, 1)].float()
        side, stride = ResNet8.kernel, ResNet8.stride
        seen = F.conv2d(chosen, frequencies(chosen.shape[1], side, side), stride=stride)
        variance = seen.var((0, 2, 3))
        print(f"{path}: {100 * float(variance[0] / variance.sum()):.0f} % is brightness")


if __name__ == "__main__":
    main()
