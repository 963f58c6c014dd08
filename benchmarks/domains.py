"""Make data sets that are not like ImageNet: 5,000 images to train on and 1,000 to test on.

    python -m pip install -r benchmarks/requirements-domains.txt
    python -m pip install --no-deps idsprites==1.0.1
    python benchmarks/domains.py letters --out domains/letters
    python benchmarks/domains.py grey --cifar10 cifar10/ --out domains/grey

Each data set is a folder train/CLASS/*.png and test/CLASS/*.png, as ``lord data`` reads it. The
same versions of the packages give the same images.

letters: 26 capital letters in 42 fonts, 64 x 64, grey. The ten fonts of the test images are not
    among those of the training images. Needs npm, which installs the fonts of ``@fontsource``. Each
    is under the Open Font License, the Apache License or the Ubuntu Font License. A font
    under another license is refused.
sprites: ten random shapes at any place, turn and size, 64 x 64. Drawn by ``idsprites`` (MIT). It
    depends on ``opencv-python``, which needs a display's libraries. So it is installed without
    dependencies, and the version without a display with the rest.
spectrograms: ten English digits, spoken, as 64 x 64 log-mel spectrograms with noise, grey. The
    eight voices of the test images are not among those of the training images. Needs the program
    ``espeak-ng`` (GPL 3). Its license covers the program, not the sounds that it makes.
grey, rotated, coarse: CIFAR-10's photographs without colour, turned by any angle, or averaged to
    8 x 8 pixels and shown at 32 x 32. CIFAR-10 has no license. Its authors ask to be cited.
"""

import argparse
import json
import shutil
import string
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lord.data import DataConfig, load_images

SEED = 0
TRAIN, TEST = 5000, 1000
"""Number of images of each split, rounded so that all classes have as many."""
SIDE = 64
"""Width and height in pixels of the images that are drawn."""
Sample = tuple[str, str, Image.Image]
"""Split, class and image."""

FONTS = {
    "train": "roboto lato montserrat raleway oswald dosis merriweather lora playfair-display "
    "eb-garamond arvo rokkitt inconsolata space-mono courier-prime vt323 pacifico dancing-script "
    "caveat kalam indie-flower permanent-marker rock-salt great-vibes architects-daughter "
    "bebas-neue lobster abril-fatface press-start-2p orbitron special-elite cinzel",
    "test": "exo-2 fira-sans bitter crimson-text jetbrains-mono patrick-hand damion luckiest-guy "
    "russo-one amatic-sc",
}
"""Names of npm packages in ``@fontsource``."""
FREE = ("OFL-1.1", "Apache-2.0", "UFL-1.0")
"""Licenses of fonts that may be used."""

DIGITS = "zero one two three four five six seven eight nine"
ACCENTS = "en-us en-gb en-gb-scotland en-gb-x-rp en-gb-x-gbcwmd en-029"
SPEAKERS = {
    "train": "m1 m2 m3 m4 m5 m6 f1 f2 f3 f4 klatt klatt2 klatt3 Alex Alicia Andy Denis Gene Hugo "
    "Jacky Lee Mario Michael anika adam david edward max paul robert steph",
    "test": "m7 m8 f5 klatt4 Annie Marco linda victor",
}
"""Voices of ``espeak-ng``."""
RATE, WINDOW, HZ = 22050, 1024, (60.0, 8000.0)
"""Samples a second, samples of a Fourier transform, and the lowest and highest frequency."""


def letters(generator: np.random.Generator) -> Iterator[Sample]:
    """Draw capital letters: each one equally often in each font."""
    with tempfile.TemporaryDirectory() as folder:
        for split, fonts in FONTS.items():
            names = fonts.split()
            count = round((TRAIN if split == "train" else TEST) / len(names) / 26)
            for files in installed_fonts(names, Path(folder)):
                for letter in string.ascii_uppercase:
                    for _ in range(count):
                        yield split, letter, draw_letter(letter, files, generator)


def installed_fonts(names: list[str], folder: Path) -> Iterator[list[Path]]:
    """Install fonts and yield the files of each: regular, and bold where there is one."""
    packages = [f"@fontsource/{name}@5" for name in names]
    options = ["--prefix", str(folder), "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(["npm", "install", "--silent", *options, *packages], check=True)
    for name in names:
        package = folder / "node_modules" / "@fontsource" / name
        about = json.loads((package / "package.json").read_text())
        if about["license"] not in FREE:
            raise SystemExit(f"@fontsource/{name}: its license is {about['license']}")
        print(f"{name} {about['version']}, {about['license']}")
        yield sorted(package.glob(f"files/{name}-latin-[47]00-normal.woff"))


def draw_letter(letter: str, files: list[Path], generator: np.random.Generator) -> Image.Image:
    """Draw a letter in one of the fonts, in any size that is legible, shade and place."""
    font = ImageFont.truetype(str(generator.choice(files)), int(generator.integers(20, 57)))
    dark, light = int(generator.integers(0, 96)), int(generator.integers(160, 256))
    paper, ink = (dark, light) if generator.random() < 0.5 else (light, dark)
    image = Image.new("L", (SIDE, SIDE), paper)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = draw.textbbox((0, 0), letter, font=font)
    x, y = (
        generator.uniform(min(0, SIDE - length), max(0, SIDE - length))
        for length in (right - left, bottom - top)
    )
    draw.text((x - left, y - top), letter, fill=ink, font=font)
    return image


def sprites(generator: np.random.Generator) -> Iterator[Sample]:
    """Draw random shapes. The package's shapes come from numpy's global generator."""
    from idsprites import RandomDSprites  # noqa: PLC0415 (the other data sets do not need it)

    np.random.seed(int(generator.integers(2**31)))
    images = RandomDSprites(img_size=SIDE, shapes=10)
    counts: Counter[int] = Counter()
    for pixels, factors in images:
        # Version 1.0.1 gives as shape_id that of another shape, drawn later.
        shape = next(n for n, points in enumerate(images.shapes) if points is factors.shape)
        seen = counts[shape]
        counts[shape] += 1
        if seen < (TRAIN + TEST) // 10:
            picture = Image.fromarray((pixels.transpose(1, 2, 0) * 255).round().astype(np.uint8))
            yield "train" if seen < TRAIN // 10 else "test", f"shape{shape}", picture
        elif min(counts[n] for n in range(10)) >= (TRAIN + TEST) // 10:
            return


def spectrograms(generator: np.random.Generator) -> Iterator[Sample]:
    """Speak digits with all voices and draw their spectrograms."""
    filters = mel_filters()
    for split, count in (("train", TRAIN // 10), ("test", TEST // 10)):
        speakers = SPEAKERS[split].split()
        for word in DIGITS.split():
            for _ in range(count):
                yield split, word, draw_sound(speak(word, speakers, generator), filters)


def speak(word: str, speakers: list[str], generator: np.random.Generator) -> np.ndarray:
    """Return one second of sound: a word at any speed, pitch and time, and noise."""
    voice = f"{generator.choice(ACCENTS.split())}+{generator.choice(speakers)}"
    speed, pitch = (str(generator.integers(*limits)) for limits in ((110, 240), (10, 90)))
    command = ["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "--stdout", word]
    wave = subprocess.run(command, capture_output=True, check=True).stdout
    sound = np.frombuffer(wave[44:], dtype="<i2")[:RATE] / 32768  # after the header
    noise = 10 ** generator.uniform(-3.5, -1.5)
    second = generator.normal(0, noise, RATE)
    start = int(generator.integers(0, RATE - len(sound) + 1))
    second[start : start + len(sound)] += sound
    return second


def draw_sound(sound: np.ndarray, filters: np.ndarray) -> Image.Image:
    """Draw a second of sound as log-mel spectrogram, low frequencies at the bottom.

    filters: 64 x 513, the weight of each frequency in each row.
    """
    starts = np.linspace(0, RATE - WINDOW, SIDE).astype(int)
    frames = np.stack([sound[start : start + WINDOW] for start in starts]) * np.hanning(WINDOW)
    power = filters @ np.abs(np.fft.rfft(frames)).T ** 2
    decibels = 10 * np.log10(power + 1e-10)
    scaled = (decibels - decibels.max()) / 60 + 1  # the upper 60 dB
    return Image.fromarray((255 * scaled.clip(0, 1)).round().astype(np.uint8)[::-1])


def mel_filters() -> np.ndarray:
    """Return 64 triangles at equal distances on the mel scale, as 64 x 513 weights."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in HZ)
    corners = 700 * (10 ** (np.linspace(low, high, SIDE + 2) / 2595) - 1)
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    hz = np.fft.rfftfreq(WINDOW, 1 / RATE)
    # A narrow triangle may lie between two frequencies, so each is at least two of them wide.
    width = RATE / WINDOW
    left, right = np.minimum(left, middle - width), np.maximum(right, middle + width)
    return np.minimum((hz - left) / (middle - left), (right - hz) / (right - middle)).clip(0)


def photographs(
    change: Callable[[Image.Image, np.random.Generator], Image.Image],
    cifar10: str,
    generator: np.random.Generator,
) -> Iterator[Sample]:
    """Change the first photographs of each class of CIFAR-10."""
    data = load_images(DataConfig(data=cifar10))
    splits = {
        "train": (data.train_images, data.train_labels, TRAIN),
        "test": (data.test_images, data.test_labels, TEST),
    }
    for split, (images, labels, count) in splits.items():
        for label, name in enumerate(data.classes):
            for row in (labels == label).nonzero().flatten()[: count // len(data.classes)]:
                pixels = images[row].permute(1, 2, 0).numpy()
                yield split, name, change(Image.fromarray(pixels), generator)


def grey(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Return the image without colour."""
    return image.convert("L")


def rotated(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Turn the image by a random angle. Its mirror images fill the corners."""
    side = image.width
    wide = np.pad(np.asarray(image), ((side // 2,) * 2, (side // 2,) * 2, (0, 0)), "reflect")
    turned = Image.fromarray(wide).rotate(generator.uniform(0, 360), Image.Resampling.BICUBIC)
    return turned.crop((side // 2, side // 2, side // 2 + side, side // 2 + side))


def coarse(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Return the image at 8 x 8 pixels, enlarged to its size."""
    return image.resize((8, 8), Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)


DRAWN = {"letters": letters, "sprites": sprites, "spectrograms": spectrograms}
CHANGED = {"grey": grey, "rotated": rotated, "coarse": coarse}


def write(samples: Iterator[Sample], out: Path) -> Counter[str]:
    """Write the images as PNG files, and return how many each split has."""
    numbers: Counter[str] = Counter()
    for split, name, image in samples:
        folder = out / split / name
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{numbers[split]:05d}.png")
        numbers[split] += 1
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=[*DRAWN, *CHANGED])
    parser.add_argument("--out", type=Path, required=True, help="new folder for the images")
    parser.add_argument("--cifar10", help="folder of CIFAR-10, in any layout")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"'{arguments.out}' exists: choose another --out")
    draw = DRAWN.get(arguments.name)
    if not draw:
        if not arguments.cifar10:
            parser.error(f"'{arguments.name}' needs --cifar10")
        draw = partial(photographs, CHANGED[arguments.name], arguments.cifar10)
    unfinished = arguments.out.with_name(f"{arguments.out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    numbers = write(draw(np.random.default_rng(SEED)), unfinished)
    unfinished.rename(arguments.out)
    print(f"{arguments.out}: {numbers['train']} images to train on, {numbers['test']} to test on")


if __name__ == "__main__":
    main()
