"""``lord predict``: the classes of images."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from lord.cli.flags import Switch, checked
from lord.cli.learner import load_learner
from lord.config import UserError
from lord.config.types import ProperFraction

if TYPE_CHECKING:
    from lord.learner import Learner

EXAMPLES = """
lord predict memory cat.jpg dog.jpg
lord predict memory cat.jpg --json
lord predict memory lorry.jpg --unknown
"""
FALSE_ALARMS = 0.05
"""Share of images of known classes that may be called unknown."""


def predict(
    state: Path,
    /,
    *files: Path,
    unknown: Switch = False,
    false_alarms: Annotated[float | None, checked(ProperFraction)] = None,
    json: Switch = False,
    plugin: Path | None = None,
) -> None:
    """Print the most likely class of images, with its probability.

    Parameters
    ----------
    state
        Folder of the learner.
    files
        Images.
    unknown
        Print "unknown" for images that resemble none of the classes learned.
    false_alarms
        Share of images of known classes that may be called unknown; 0.05 by default. It includes
        unknown.
    json
        Print a JSON object a line.
    plugin
        Python file that registers methods or networks.
    """
    from json import dumps

    import torch

    from lord.data import decode
    from lord.learner import match_channels

    if not files:
        raise UserError("names no image", field="files", allowed="at least one")
    learner = load_learner(state, plugin)
    if learner.shape is None:
        raise UserError("has learned nothing yet", field="state", given=state)
    encoded = [(str(file), file.read_bytes) for file in files]
    pixels = torch.from_numpy(decode(encoded, learner.shape[1])).permute(0, 3, 1, 2)
    images = match_channels(pixels, learner)
    rate = _checked_rate(learner, false_alarms) if unknown or false_alarms is not None else None
    predictions = learner.predictions(images, unknown=rate is not None)
    for file, found in zip(files, predictions, strict=True):
        row: dict[str, object] = {"label": found.label, "confidence": found.confidence}
        text = f"{found.label}  {100 * found.confidence:.0f} %"
        if rate is not None and found.unknown is not None:
            # Rounding must not decide on a share that is equal to the rate.
            is_unknown = found.unknown >= 1 - rate - 1e-9
            row |= {"unknown": found.unknown, "is_unknown": is_unknown}
            text = f"unknown  most like {found.label}" if is_unknown else text
        print(dumps({"file": str(file), **row}) if json else f"{file}  {text}")


def _checked_rate(learner: "Learner", rate: float | None) -> float:
    """Return the share of false alarms. Refuse one that needs more held-out images."""
    rate, images = FALSE_ALARMS if rate is None else rate, len(learner.known_scores())
    least = 1 / (images + 1)
    if rate < least:
        raise UserError(
            field="false_alarms",
            given=rate,
            allowed=f"at least {math.ceil(1000 * least) / 1000:g}, with {images} held-out images",
            hint="learn more images, or set a higher share",
        )
    return rate
