"""Pretrained networks of timm, torchvision and transformers, by name."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from lord.backbone.config import BackboneConfig
from lord.backbone.pretrained import IMAGENET, UNKNOWN, Interpolation, Pretrained, frozen
from lord.backbone.weights import read_weights, with_weights
from lord.config import UserError, first_line, nearest
from lord.networks.libraries import import_library

FILE = "set `weights` to a file of its weights"
"""What to do where a hub cannot be reached."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Normalisation with ImageNet's statistics, where a library names no other."""
BICUBIC = 3
"""Pillow's number of this interpolation, as in a processor's settings."""


@contextmanager
def _loading(name: str, offline: str) -> Iterator[None]:
    """Turn any error of a library inside into a ``UserError``.

    Args:
        offline: what to do without access to the hub.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # libraries, hubs and the network have many errors
        raise UserError(
            f"cannot be loaded: {first_line(error)}",
            field="backbone",
            given=name,
            hint=f"without access to the hub, {offline}",
        ) from None


def _timm(name: str, config: BackboneConfig) -> Pretrained:
    """Load a model of timm, such as ``timm:resnet50.a1_in1k``."""
    timm = import_library("timm", field="backbone", name=name)
    model = name.partition(":")[2]
    if not model.startswith("hf-hub:"):
        _check_model(name, model.partition(".")[0], timm.is_model, timm.list_models)
    with _loading(name, FILE):
        settings: dict[str, Any] = {"pretrained": config.weights is None}
        known = timm.get_pretrained_cfg(model)
        if config.backbone_size and known is not None and known.fixed_input_size:
            settings["img_size"] = config.backbone_size  # position embeddings are interpolated
        network = timm.create_model(model, **settings)
        data = timm.data.resolve_model_data_config(network)
        tag = (network.pretrained_cfg or {}).get("tag") or ""
    return frozen(
        name,
        _with_file(network, config),
        mean=data["mean"],
        std=data["std"],
        size=data["input_size"][-1],
        interpolation=_interpolation(data["interpolation"]),
        trained_on=IMAGENET if _only_imagenet(tag) and config.weights is None else UNKNOWN,
    )


def _torchvision(name: str, config: BackboneConfig) -> Pretrained:
    """Load a model of torchvision with its newest weights, such as ``torchvision:resnet50``."""
    models = import_library("torchvision", field="backbone", name=name)
    model = name.partition(":")[2]
    _check_model(name, model, models.list_models().__contains__, models.list_models)
    with _loading(name, FILE):
        network = models.get_model(model, weights=None)
        weights = models.get_model_weights(model).DEFAULT
        shown = weights.transforms()
        if config.weights is None:  # torchvision would read the file with pickled code allowed
            tensors = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
            network = with_weights(network, tensors, weights)
    imagenet = "IMAGENET1K_V" in weights.name and config.weights is None
    return frozen(
        name,
        _with_file(network, config),
        mean=getattr(shown, "mean", MEAN),
        std=getattr(shown, "std", STD),
        size=shown.crop_size[0],
        interpolation=_interpolation(shown.interpolation.value),
        trained_on=IMAGENET if imagenet else UNKNOWN,
    )


def _transformers(name: str, config: BackboneConfig) -> Pretrained:
    """Load a model of the Hugging Face hub or of a folder, such as ``hf:facebook/dinov2-small``."""
    transformers = import_library("hf", field="backbone", name=name)
    model = name.partition(":")[2]
    with _loading(name, "name a folder, as hf:FOLDER"), _silent(transformers):
        missing = []
        if config.weights is None:
            network, loaded = transformers.AutoModel.from_pretrained(
                model, output_loading_info=True, trust_remote_code=False
            )
            missing = [each for each in loaded["missing_keys"] if not each.startswith("pooler.")]
            pooled = len(missing) == len(loaded["missing_keys"])
        else:
            settings = transformers.AutoConfig.from_pretrained(model)
            network, pooled = transformers.AutoModel.from_config(settings), True
            network = with_weights(network, read_weights(config.weights), config.weights)
        shown = transformers.AutoImageProcessor.from_pretrained(model).to_dict()
    if missing:
        problem = f"has no weights for {', '.join(sorted(missing)[:3])}"
        raise UserError(problem, field="backbone", given=name)
    normalised = shown.get("do_normalize", True)
    return frozen(
        name,
        HubFeatures(network, pooled),
        mean=shown["image_mean"] if normalised else (0.0,) * 3,
        std=shown["image_std"] if normalised else (1.0,) * 3,
        size=_side(shown),
        interpolation="bicubic" if shown.get("resample") == BICUBIC else "bilinear",
    )


class HubFeatures(nn.Module):
    """A model of transformers that returns features instead of a record.

    Maps N x 3 x H x W images to N x features: the model's pooled output, or the class token, or the
    mean over all places.

    Args:
        model: as ``AutoModel`` loads it.
        pooled: whether its pooling layer has trained weights. One without is removed.
    """

    def __init__(self, model: nn.Module, pooled: bool) -> None:
        super().__init__()
        if not pooled:
            model.register_module("pooler", None)
        self.model = model
        names = (name.rpartition(".")[2] for name, _ in model.named_parameters())
        self.has_class_token = not {"cls_token", "class_embedding"}.isdisjoint(names)

    def forward(self, x: Tensor) -> Tensor:
        out = self.model(pixel_values=x)
        features = getattr(out, "pooler_output", None)
        if features is None:
            features = out.last_hidden_state
        if features.dim() == 4:
            return features.mean((2, 3))
        if features.dim() == 3:
            return features[:, 0] if self.has_class_token else features.mean(1)
        return features


LIBRARIES: dict[str, Callable[[str, BackboneConfig], Pretrained]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "hf": _transformers,
}
"""Prefix of a backbone's name -> the function that loads it."""


def _check_model(
    name: str, model: str, known: Callable[[str], bool], names: Callable[[], list[str]]
) -> None:
    """Check that a library has a model.

    Raises:
        UserError: if it does not. It names the nearest one.
    """
    if not known(model):
        library = name.partition(":")[0]
        hint = nearest(model, names())
        raise UserError(f"is not a model of {library}", field="backbone", given=name, hint=hint)


def _with_file(network: nn.Module, config: BackboneConfig) -> nn.Module:
    """Return a network with the weights of the file that the settings name, if they name one."""
    if config.weights is None:
        return network
    return with_weights(network, read_weights(config.weights), config.weights)


def _only_imagenet(tag: str) -> bool:
    """Return whether timm's tag of some weights names ImageNet-1k and no other training.

    >>> _only_imagenet("a1_in1k"), _only_imagenet("augreg_in21k_ft_in1k"), _only_imagenet("")
    (True, False, False)
    """
    words = tag.split("_")
    return "in1k" in words and not {"ft", "dist", "distill"}.intersection(words)


def _interpolation(name: str) -> Interpolation:
    return "bicubic" if name == "bicubic" else "bilinear"


def _side(shown: Mapping[str, Any]) -> int:
    """Return the height of the images that a processor of transformers makes."""
    size = shown.get("crop_size") if shown.get("do_center_crop") else None
    size = size or shown["size"]
    if isinstance(size, int):
        return size
    return int(size.get("height") or size.get("shortest_edge"))


@contextmanager
def _silent(transformers: ModuleType) -> Iterator[None]:
    """Silence transformers' warnings and progress bars inside. Errors are raised anyway."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
