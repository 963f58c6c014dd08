"""Files that cannot be used are all listed, each with a reason, and the others are read."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, features

from lord.conftest import refused
from lord.data import BadFilesError, DataConfig, decode_readable, load_images, load_readable
from lord.data.labelled import sides_of, typical_side

AS_HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


NOISE = Image.effect_noise((40, 30), 50)
JPEG, TIFF = encoded(NOISE, "jpeg"), encoded(NOISE.convert("I;16"), "tiff")
LARGE = encoded(Image.new("1", (12_000, 12_000)), "png")
BAD = {
    "empty.jpg": (b"", "the file is empty"),
    "cut.jpg": (JPEG[: len(JPEG) // 2], "image file is truncated (1 bytes not processed)"),
    "text.png": (b"no picture", "unknown format"),
    "deep.tiff": (TIFF, "more than 8 bits per channel (mode I;16)"),
    "large.png": (LARGE, "more than 89 million pixels"),
}


def test_all_bad_images_are_named_and_the_others_are_decoded():
    good = encoded(NOISE, "png")
    pictures = [("a.png", good), *((name, content) for name, (content, _) in BAD.items())]
    pictures.append(("z.png", good))
    pixels, rows, bad = decode_readable([(name, lambda c=c: c) for name, c in pictures], 8)
    assert rows == [0, len(BAD) + 1]
    assert np.array_equal(pixels[0], pixels[1])
    found = {name: reason.split(" (")[0] for name, reason, _ in bad}
    assert found == {name: reason.split(" (")[0] for name, (_, reason) in BAD.items()}


def test_a_damaged_heic_file_is_not_an_unknown_format():
    pytest.importorskip("pillow_heif")
    _, rows, bad = decode_readable([("a.jpg", lambda: AS_HEIC)], 8)
    assert (rows, bad[0].reason) == ([], "a damaged HEIC file")


def test_heic_is_read_with_the_extra_and_named_without_it(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(NOISE.convert("RGB")).save(tmp_path / "a.heic")
    script = """
import sys
sys.modules["pillow_heif"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "pillow_heif" else find(name)
from pathlib import Path
from lord.data import decode_readable
print(decode_readable([("a.heic", Path(sys.argv[1]).read_bytes)], 8)[2][0].reason)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "a.heic")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "HEIC, which needs pip install 'lord-cl[heif]'\n"
    pixels, _, bad = decode_readable([("a.heic", (tmp_path / "a.heic").read_bytes)], 8)
    assert (pixels.shape, bad) == ((1, 8, 8, 3), [])


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow cannot read AVIF")
def test_avif_is_read():
    content = encoded(NOISE.convert("RGB"), "avif")
    assert decode_readable([("a.avif", lambda: content)], 8)[0].shape == (1, 8, 8, 3)


def test_a_data_set_names_the_bad_files_of_both_splits(photos):
    (photos / "train" / "ant" / "raw.CR2").write_bytes(b"x")
    (photos / "train" / "bee" / "a.png").write_bytes(b"")
    (photos / "test" / "bee" / "a.png").write_bytes(b"x")
    for _ in range(2):  # without and with the cache
        with pytest.raises(BadFilesError) as error:
            load_images(DataConfig(data=str(photos)))
        assert [file.rpartition("/")[2] for file, *_ in error.value.files] == [
            "raw.CR2",
            "a.png",
            "a.png",
        ]
    loaded = load_readable(photos, 8)
    assert (len(loaded.images), len(loaded.bad), loaded.key) == (18, 2, None)


def test_bad_files_do_not_count_for_the_typical_size(photos):
    Image.new("L", (900, 900)).save(photos / "train" / "ant" / "00-large.png")
    assert typical_side(photos / "train", {str(photos / "train" / "ant" / "00-large.png")}) == (
        8,
        False,
    )
    (photos / "train" / "ant" / "00-large.png").write_bytes(b"")
    assert sides_of(photos)[1] == {(8, 8)}
    for file in photos.rglob("*.png"):
        file.write_bytes(b"")
    with refused(None, problem=re.compile("can be used")):
        typical_side(photos)
