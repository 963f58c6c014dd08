"""Images: a loader for many layouts, a cache of decoded images, and augmentation."""

from lord.data.augment import Augment, measure_normalisation
from lord.data.bad_files import BadFile, BadFilesError, bad_table, in_one_line
from lord.data.cache import cache_folder, holds, store
from lord.data.decode import decode, decode_each, decode_readable, pixels_of
from lord.data.huggingface import from_datasets
from lord.data.image_data import MEMORY, ImageData, arrays_of, keep
from lord.data.labelled import (
    Labelled,
    files_of_classes,
    has_test_split,
    load_labelled,
    load_readable,
    sides_of,
    typical_side,
)
from lord.data.load import DECODED, LOADERS, DataConfig, load_images
from lord.data.memory import images, images_by_task
from lord.data.nested import check_not_nested
from lord.data.pictures import Encoded
from lord.data.sheet import contact_sheet, sheet_by_class
from lord.data.sources import recognise
from lord.data.sources.folder import has_pictures, pictures_below

__all__ = [
    "Augment",
    "BadFile",
    "BadFilesError",
    "DECODED",
    "DataConfig",
    "Encoded",
    "ImageData",
    "LOADERS",
    "Labelled",
    "MEMORY",
    "arrays_of",
    "bad_table",
    "cache_folder",
    "check_not_nested",
    "contact_sheet",
    "decode",
    "decode_each",
    "decode_readable",
    "files_of_classes",
    "from_datasets",
    "has_pictures",
    "has_test_split",
    "in_one_line",
    "holds",
    "images",
    "images_by_task",
    "keep",
    "load_images",
    "load_labelled",
    "load_readable",
    "measure_normalisation",
    "pictures_below",
    "pixels_of",
    "recognise",
    "sheet_by_class",
    "sides_of",
    "store",
    "typical_side",
]
