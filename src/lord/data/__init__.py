"""Images: one loader for many layouts, decoded once; augmentation as tensor code."""

from lord.data.augment import Augment, measure_normalisation
from lord.data.load import DataConfig, ImageData, load_images

__all__ = ["Augment", "DataConfig", "ImageData", "load_images", "measure_normalisation"]
