"""Images: a loader for many layouts, a cache of decoded images, and augmentation."""

from lord.data.augment import Augment, measure_normalisation
from lord.data.cache import cache_folder, holds, store
from lord.data.decode import decode
from lord.data.huggingface import from_datasets
from lord.data.load import DECODED, DataConfig, ImageData, load_images, load_labelled
from lord.data.sheet import contact_sheet, sheet_by_class
from lord.data.sources.folder import has_pictures

__all__ = [
    "Augment",
    "DECODED",
    "DataConfig",
    "ImageData",
    "cache_folder",
    "contact_sheet",
    "decode",
    "from_datasets",
    "has_pictures",
    "holds",
    "load_images",
    "load_labelled",
    "measure_normalisation",
    "sheet_by_class",
    "store",
]
