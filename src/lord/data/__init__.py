"""Images: a loader for many layouts, a cache of decoded images, and augmentation."""

from lord.data.augment import Augment, measure_normalisation
from lord.data.cache import cache_folder, holds, store
from lord.data.decode import decode
from lord.data.huggingface import from_datasets
from lord.data.image_data import MEMORY, ImageData, arrays_of, keep
from lord.data.load import DECODED, LOADERS, DataConfig, load_images, load_labelled, typical_side
from lord.data.memory import images, images_by_task
from lord.data.sheet import contact_sheet, sheet_by_class
from lord.data.sources.folder import has_pictures

__all__ = [
    "Augment",
    "DECODED",
    "DataConfig",
    "ImageData",
    "LOADERS",
    "MEMORY",
    "arrays_of",
    "cache_folder",
    "contact_sheet",
    "decode",
    "from_datasets",
    "has_pictures",
    "holds",
    "images",
    "images_by_task",
    "keep",
    "load_images",
    "load_labelled",
    "measure_normalisation",
    "sheet_by_class",
    "store",
    "typical_side",
]
