"""``lord predict``: the classes of images."""

import csv
import glob
import math
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lord.cli.console import print_error
from lord.cli.flags import Switch, checked
from lord.cli.learner import load_learner
from lord.config import UserError
from lord.config.types import Count, ProperFraction

if TYPE_CHECKING:
    from torch import Tensor

    from lord.learner import Learner, Prediction

EXAMPLES = """
lord predict memory cat.jpg dog.jpg
lord predict memory photos/new --top 3
lord predict memory 'photos/**/*.jpg' --format csv
lord predict memory lorry.jpg --unknown
"""
FALSE_ALARMS = 0.05
"""Share of images of known classes that may be called unknown."""


def predict(
    state: Path,
    /,
    *paths: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    top: Annotated[int | None, checked(Count)] = None,
    probabilities: Switch = False,
    unknown: Switch = False,
    false_alarms: Annotated[float | None, checked(ProperFraction)] = None,
    format: Literal["table", "csv", "jsonl"] | None = None,
    json: Switch = False,
    plugin: Path | None = None,
) -> None:
    """Print the most likely class of images, with its probability.

    A file that cannot be read gets a line on the error stream. The other files are still answered,
    and the exit code is 2.

    Parameters
    ----------
    state
        Folder of the learner.
    paths
        Images, folders of images at any depth, and patterns such as 'photos/*.jpg'. A minus sign
        reads more of them from the standard input, one a line.
    top
        Print this many classes of each image.
    probabilities
        Print the probability of every class.
    unknown
        Print "unknown" for images that resemble none of the classes learned.
    false_alarms
        Share of images of known classes that may be called unknown; 0.05 by default. It
        implies unknown.
    format
        table for a line an image, csv, or jsonl for a JSON object a line. table by default.
    json
        Same as the format jsonl.
    plugin
        Python file that registers methods or networks.
    """
    from lord.data import BadFile, BadFilesError
    from lord.learner.images import BATCH, read_pictures

    for path in paths:
        if str(path).startswith("-") and str(path) != "-" and not path.exists():
            raise UserError(f"unknown option '{path}'")
    if not paths:
        raise UserError("names no image", field="paths", allowed="at least one")
    if json and format not in (None, "jsonl"):
        raise UserError("cannot be combined with `json`", field="format", given=format)
    learner = load_learner(state, plugin)
    shape = learner.shape
    if shape is None:
        raise UserError("has learned nothing yet", field="state", given=state)
    rate = _checked_rate(learner, false_alarms) if unknown or false_alarms is not None else None
    count = len(learner.classes) if probabilities else top or 1
    show = {"csv": _Csv, "jsonl": _Lines}.get("jsonl" if json else format or "", _Table)(
        learner.classes, top or 1, probabilities, rate
    )
    files: deque[Path] = deque()
    failed = False

    def batches() -> "Iterator[Tensor]":
        """Read the files in parts. The names of those that could be read wait in ``files``."""
        import torch

        nonlocal failed
        names = _named(paths)
        while some := list(islice(names, BATCH)):
            good = [each for each in some if isinstance(each, Path)]
            wrong = [each for each in some if isinstance(each, UserError)]
            read = read_pictures([(str(each), each.read_bytes) for each in good], shape)
            images = []
            for name, found in zip(good, read, strict=True):
                if isinstance(found, BadFile):
                    wrong.append(BadFilesError([found]))
                else:
                    images.append(found)
                    files.append(name)
            for error in wrong:
                failed = True
                print_error(str(error))
            if images:
                yield torch.cat(images)

    for found in learner.stream(batches(), unknown=rate is not None, top=count):
        show(str(files.popleft()), found)
    if failed:
        sys.exit(2)


def _named(paths: Iterable[Path]) -> Iterator[Path | UserError]:
    """Yield the files that paths, folders, patterns and the standard input name."""
    from lord.data import pictures_below

    for path in paths:
        try:
            path.stat()
        except PermissionError as error:
            yield UserError(f"'{path}': {error.strerror}")
            continue
        except OSError:
            pass  # it does not exist, or is a pattern
        if str(path) == "-":
            lines = (line.rstrip(b"\r\n") for line in sys.stdin.buffer)
            yield from _named(Path(os.fsdecode(line)) for line in lines if line)
        elif path.is_dir():
            errors: list[UserError] = []  # such as a folder that the user must not read
            found = pictures_below(path, errors.append)
            if first := next(found, None):
                yield first
                yield from found
            elif not errors:
                yield UserError(f"'{path}' has no images")
            yield from errors
        elif not path.exists() and glob.has_magic(str(path)):
            matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
            if "**" in path.parts:  # it names folders and the files in them
                matches = [each for each in matches if not Path(each).is_dir()]
            yield from _named(map(Path, matches))
            if not matches:
                yield UserError(f"no file matches '{path}'")
        else:
            yield path


class _Table:
    """Prints a line an image: its file, and its class or classes with probabilities."""

    def __init__(
        self, classes: Sequence[str], top: int, probabilities: bool, rate: float | None
    ) -> None:
        self.classes, self.top, self.probabilities, self.rate = classes, top, probabilities, rate

    def __call__(self, file: str, found: "Prediction") -> None:
        ranked = found.top if self.probabilities else found.top[: self.top]
        shown = ranked or ((found.label, found.confidence),)
        text = "  ".join(f"{name}  {100 * value:.0f} %" for name, value in shown)
        if self.is_unknown(found):
            text = f"unknown  most like {found.label}" if len(shown) < 2 else f"unknown  {text}"
        print(f"{file}  {text}")

    def is_unknown(self, found: "Prediction") -> bool:
        """Whether an image counts as unknown at the rate of false alarms."""
        # Rounding must not decide on a share that is equal to the rate.
        return self.rate is not None and (found.unknown or 0) >= 1 - self.rate - 1e-9

    def fields(self, found: "Prediction") -> dict[str, object]:
        """The class, its probability, and how unusual the image is, if that was asked for."""
        row: dict[str, object] = {"label": found.label, "confidence": found.confidence}
        if self.rate is not None:
            row |= {"unknown": found.unknown, "is_unknown": self.is_unknown(found)}
        return row


class _Lines(_Table):
    """Prints a JSON object a line."""

    def __call__(self, file: str, found: "Prediction") -> None:
        from json import dumps

        row = {"file": file, **self.fields(found)}
        if self.top > 1:
            ranked = found.top[: self.top]
            row["top"] = [{"label": name, "confidence": value} for name, value in ranked]
        if self.probabilities:
            row["probabilities"] = dict(found.top)
        print(dumps(row))


class _Csv(_Table):
    """Prints a table of comma-separated values, with a head."""

    def __init__(
        self, classes: Sequence[str], top: int, probabilities: bool, rate: float | None
    ) -> None:
        super().__init__(classes, min(top, len(classes)), probabilities, rate)
        self.writer = csv.writer(sys.stdout, lineterminator="\n")
        head = ["file", "label", "confidence"]
        head += ["unknown", "is_unknown"] if rate is not None else []
        for place in range(2, self.top + 1):
            head += [f"label_{place}", f"confidence_{place}"]
        self.writer.writerow(head + [f"p({name})" for name in classes] * probabilities)

    def __call__(self, file: str, found: "Prediction") -> None:
        cells = [file, *self.fields(found).values()]
        for name, value in found.top[1 : self.top]:
            cells += [name, value]
        if self.probabilities:
            shares = dict(found.top)
            cells += [shares[name] for name in self.classes]
        self.writer.writerow(f"{c:.6g}" if isinstance(c, float) else c for c in cells)


def _checked_rate(learner: "Learner", rate: float | None) -> float:
    """Return the share of false alarms. Refuse one that needs more held-out images."""
    images = len(learner.known_scores())
    least = math.ceil(1000 / (images + 1)) / 1000
    if rate is None and least > FALSE_ALARMS:
        raise UserError(
            f"needs {round(1 / FALSE_ALARMS) - 1} held-out images, and the learner has {images}",
            field="unknown",
            hint=f"learn more images, or set `false_alarms` to {least:g} or more",
        )
    rate = FALSE_ALARMS if rate is None else rate
    if rate < 1 / (images + 1):
        raise UserError(
            field="false_alarms",
            given=rate,
            allowed=f"at least {least:g}, with {images} held-out images",
            hint="learn more images, or set a higher share",
        )
    return rate
