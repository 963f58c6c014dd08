"""Commands for a learner that is kept. No torch here until one runs: help must be quick."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from lord.cli.flags import Whole, with_set
from lord.config import UserError, check_budget

Switch = Annotated[bool, Parameter(negative="")]


def learn(
    folder: Path,
    /,
    *,
    state: Path,
    method: str | None = None,
    network: str | None = None,
    width: Whole | None = None,
    epochs: Whole | None = None,
    resize: Whole | None = None,
    seed: Whole | None = None,
    set: Annotated[list[str] | None, Parameter(negative=())] = None,
    seconds: float | None = None,
    flops: float | None = None,
    again: Switch = False,
    abandon: Switch = False,
    checkpoint_every: float = 60.0,
    plugin: Path | None = None,
) -> None:
    """Learn the images in a folder; the first call makes the learner, later ones go on.

    Interrupted or killed, the same command goes on where the last checkpoint was.

    Parameters
    ----------
    folder
        Images by class: FOLDER/CLASS/*.jpg, or any other layout 'lord data' knows.
    state
        Folder the learner is kept in.
    method
        lord+ by default; cannot change later, nor can network, width, epochs, resize, seed, set.
    network
        resnet18 by default.
    width
        Filters of its first stage; 16 by default.
    epochs
        Passes over the images of a session; 5 by default.
    resize
        Side in pixels of the squares all images are brought to; 32 by default.
    seed
        Of everything random.
    set
        A setting of the method or optimizer, such as alpha=0.5.
    seconds
        What the session takes, instead of epochs; four steps at least.
    flops
        What it costs, instead of epochs; four steps at least.
    again
        Learn images that were learnt before once more.
    abandon
        Drop a session that was interrupted, and go on from before it.
    checkpoint_every
        Seconds between checkpoints.
    plugin
        Python file with methods or networks of your own.
    """
    from lord.cli import keep

    own = {"method": method, "network": network, "width": width, "epochs": epochs, "seed": seed}
    given = {name: value for name, value in own.items() if value is not None}
    given = with_set(given, set)
    check_budget(seconds, flops)
    if not 0 <= checkpoint_every < float("inf"):
        raise UserError(f"checkpoint_every: expected a number >= 0, got {checkpoint_every}")
    if resize is not None and not 4 <= resize <= 1024:
        raise UserError(f"resize: expected 4 to 1024, got {resize}")
    keep.learn(
        folder,
        state,
        given,
        resize,
        seconds,
        flops,
        again=again,
        abandoned=abandon,
        every=checkpoint_every,
        plugin=plugin,
    )


def predict(state: Path, /, *files: Path, json: Switch = False, plugin: Path | None = None) -> None:
    """Tell the class of images, and how sure the learner is.

    Parameters
    ----------
    state
        Folder of the learner.
    files
        Images.
    json
        A JSON object a line.
    plugin
        Python file with methods or networks of your own.
    """
    from lord.cli import keep

    keep.predict(state, list(files), as_json=json, plugin=plugin)


def inspect(state: Path, /, *, sheet: Path | None = None, plugin: Path | None = None) -> None:
    """Tell what a learner has learnt, what it holds, and what it cost.

    Parameters
    ----------
    state
        Folder of the learner.
    sheet
        PNG file for a contact sheet of the buffer.
    plugin
        Python file with methods or networks of your own.
    """
    from lord.cli import keep

    if sheet is not None and sheet.suffix.lower() not in ("", ".png"):
        raise UserError(f"sheet: expected a name that ends in .png, got '{sheet}'")
    keep.inspect(state, sheet, plugin)


def export(
    source: Path,
    out: Path,
    /,
    *,
    format: Literal["onnx", "pt2"] | None = None,
    int8: Switch = False,
    plugin: Path | None = None,
) -> None:
    """Write a learner or a run's model for use elsewhere, preprocessing and class names inside.

    It takes N x C x H x W uint8 images and gives probabilities. ONNX runs without torch.

    Parameters
    ----------
    source
        Folder of a learner, or of a run, or a run's model file.
    out
        File to write.
    format
        onnx, or pt2 for torch.export; by default what the file's name ends in, else onnx.
    int8
        ONNX with weights and activations of eight bits; needs a learner with a buffer, and is
        written only if accuracy on the buffer holds.
    plugin
        Python file with methods or networks of your own.
    """
    from lord.cli import keep

    ending = out.suffix[1:].lower()
    if format and ending in ("onnx", "pt2") and ending != format:
        raise UserError(f"format: {format}, but '{out}' ends in .{ending}")
    form = format or ("pt2" if ending == "pt2" else "onnx")
    keep.export(source, out, form=form, int8=int8, plugin=plugin)


COMMANDS = (learn, predict, inspect, export)
