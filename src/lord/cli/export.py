"""``lord export``: a model for use without this package."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from lord.cli.console import check_new, say, writing
from lord.cli.flags import Switch
from lord.cli.learner import load_learner
from lord.config import UserError, load_plugin

if TYPE_CHECKING:
    from torch import Tensor

    from lord.learner import Deployed, Learner


class Images(NamedTuple):
    """Images to try a model on: their labels, and what kind they are."""

    images: "Tensor"
    labels: "Tensor | None" = None
    kind: str = "random images"


EXAMPLES = """
lord export memory model.onnx
lord export memory small.onnx --int8
lord export runs/digits-lord-seed0 model.pt2
"""


def export(
    source: Path,
    out: Path,
    /,
    *,
    format: Literal["onnx", "pt2"] | None = None,
    int8: Switch = False,
    plugin: Path | None = None,
) -> None:
    """Write the model of a learner or a run, with preprocessing and class names inside.

    The model takes N x C x H x W uint8 images and returns probabilities. ONNX runs without PyTorch.

    Parameters
    ----------
    source
        Folder of a learner or of a run, or a run's model file.
    out
        File to write.
    format
        onnx, or pt2 for torch.export. By default the ending of the file's name, or else onnx.
    int8
        Use eight bits for weights and activations. Needs ONNX and a learner. The file is written
        only if accuracy holds on the images of its buffer, or else on its held-out images.
    plugin
        Python file that registers methods or networks.
    """
    from lord.learner import export_pt2

    form = _format(out, format)
    if plugin:
        load_plugin(plugin)
    check_new("out", out)
    deployed, classes, tried = _exportable(source)
    if int8 and tried.labels is None:
        problem = "needs a learner's buffer or held-out images, on which activations are measured"
        raise UserError(problem, field="int8")
    if int8 and form == "pt2":
        raise UserError("cannot be combined with pt2", field="int8", hint="set `format` to onnx")
    with writing(out):
        if form == "pt2":
            example = tried.images[:1]  # of two, because the size of a batch of one would be fixed
            export_pt2(deployed, classes, example.repeat(2, 1, 1, 1), out)
            note = ""
        else:
            note = _export_onnx(deployed, classes, tried, int8, out)
    say(f"The model is {out}, {out.stat().st_size / 1e6:.2f} MB{note}.")


def _format(out: Path, given: str | None) -> str:
    """The format that is given, or else that of the file's name.

    Raises:
        UserError: if they differ.
    """
    ending = out.suffix[1:].lower()
    if given and ending in ("onnx", "pt2") and ending != given:
        raise UserError(f"does not fit '{out}'", field="format", given=given)
    return given or ("pt2" if ending == "pt2" else "onnx")


def _export_onnx(
    deployed: "Deployed", classes: Sequence[str], tried: "Images", int8: bool, out: Path
) -> str:
    """Write an ONNX file, with eight bits if asked; return how good it is."""
    from lord.learner import export_int8, export_onnx

    images, labels = tried.images, tried.labels
    if not int8 or labels is None:
        gap = export_onnx(deployed, classes, images, out)
        return f"; largest difference from PyTorch {gap:.1g} on {len(images)} images"
    fp32 = out.with_name(f".{out.name}-fp32")
    try:
        export_onnx(deployed, classes, images, fp32)
        before, after = export_int8(fp32, images, labels, out)
    finally:
        fp32.unlink(missing_ok=True)
    return f"; accuracy on {len(images)} {tried.kind} {after:.1f} %, {before:.1f} % in fp32"


def _exportable(source: Path) -> "tuple[Deployed, Sequence[str], Images]":
    """A model, its classes, and images to try it on."""
    from lord.learner import Deployed, holds_learner, load_model
    from lord.methods import deployable

    if not holds_learner(source):
        model = load_model(source)
        return Deployed(model.pipeline), model.classes, Images(_random(model.shape))
    learner = load_learner(source)
    if learner.method is None or learner.shape is None:
        raise UserError("has learned nothing yet", field="source", given=source)
    return Deployed(deployable(learner.method)), learner.classes, _images_of(learner)


def _images_of(learner: "Learner") -> "Images":
    """A learner's images with their labels; random images if it has none.

    They are those of its buffer. A buffer may be empty, or hold latents or small images, or there
    may be none: then they are the held-out images.
    """
    method, shape = learner.method, learner.shape
    assert method is not None
    assert shape is not None
    held = method.buffer.held if method.buffer is not None and len(method.buffer) else {}
    if held and method.context.latents is None and tuple(held["images"].shape[1:]) == shape:
        labels = learner.class_numbers(held["labels"])
        return Images(held["images"], labels, "images of the buffer")
    columns = learner.held_out.columns
    if columns and len(columns["labels"]):
        return Images(columns["images"], columns["labels"], "held-out images")
    return Images(_random(shape))


def _random(shape: tuple[int, ...]) -> "Tensor":
    import torch

    return torch.randint(0, 256, (64, *shape), dtype=torch.uint8)
