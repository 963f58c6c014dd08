"""Which pretrained network is used, and how much of it is frozen."""

from typing import Annotated

from msgspec import Meta
from msgspec.structs import force_setattr

from lord.config import Config, UserError


class BackboneConfig(Config, frozen=True):
    """Which pretrained network is used, frozen."""

    backbone: str | None = None
    """Pretrained network that is used frozen: efficientnet-lite0, timm:MODEL, torchvision:MODEL,
    hf:MODEL, a name that a plug-in registered, or the folder or file of a model that a run
    trained."""
    weights: str | None = None
    """File of weights for the backbone, instead of those that come with its name: .safetensors, or
    .pth or .pt without pickled code."""
    backbone_size: Annotated[int, Meta(ge=16, le=1024)] | None = None
    """Height and width in pixels to which images are resized for the backbone."""
    cut: str | float | None = None
    """Layer up to which the backbone is frozen. What follows is trained. It is a layer's name, or
    the share of the FLOPs to freeze at most, such as 0.6."""

    def __post_init__(self) -> None:
        if self.backbone is None:
            for name in ("weights", "backbone_size", "cut"):
                value = getattr(self, name)
                if value is not None:
                    hint = "set `backbone`"
                    raise UserError("needs a backbone", field=name, given=value, hint=hint)
        if self.cut is not None:  # YAML reads a share as a number
            force_setattr(self, "cut", str(self.cut))
            share_of(str(self.cut))


def share_of(cut: str) -> float | None:
    """Return the share of the FLOPs that a cut asks for; None if it names a layer.

    >>> share_of("0.6"), share_of("blocks.10"), share_of("3")
    (0.6, None, None)

    Raises:
        UserError: if it is a number that is not a share.
    """
    if cut.isdigit():  # a layer of a sequence
        return None
    try:
        share = float(cut)
    except ValueError:
        return None
    if not 0 < share < 1:
        allowed = "a layer's name, or a share of the FLOPs between 0 and 1"
        raise UserError(field="cut", given=cut, allowed=allowed)
    return share
