"""``lord predict``: the classes of images."""

from pathlib import Path

from lord.cli.flags import Switch
from lord.cli.learner import load_learner
from lord.config import UserError

EXAMPLES = """
lord predict memory cat.jpg dog.jpg
lord predict memory cat.jpg --json
"""


def predict(state: Path, /, *files: Path, json: Switch = False, plugin: Path | None = None) -> None:
    """Print the most likely class of images, with its probability.

    Parameters
    ----------
    state
        Folder of the learner.
    files
        Images.
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
    predictions = learner.predictions(match_channels(pixels, learner))
    for file, found in zip(files, predictions, strict=True):
        if json:
            row = {"file": str(file), "label": found.label, "confidence": found.confidence}
            print(dumps(row))
        else:
            print(f"{file}  {found.label}  {100 * found.confidence:.0f} %")
