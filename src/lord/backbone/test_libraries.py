"""Backbones of timm, torchvision and transformers, with weights saved here instead of a hub's."""

import importlib
import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lord.backbone import BackboneConfig, cut_network, cuts, load_pretrained
from lord.backbone.libraries import HubFeatures
from lord.conftest import refused

PACKAGES = {"torchvision": "torchvision", "timm": "timm", "hf": "transformers"}


def require(library):
    """Return a library; skip the test where it cannot be imported."""
    try:
        return importlib.import_module(PACKAGES[library])
    except Exception as error:
        pytest.skip(f"{library} cannot be imported: {error}")


@pytest.mark.parametrize("library", PACKAGES)
def test_the_error_for_a_missing_library_says_how_to_install_it(library):
    try:
        importlib.import_module(PACKAGES[library])
    except Exception:
        problem = re.compile(f"needs {PACKAGES[library]}, which cannot be imported")
        with refused("backbone", problem=problem, hint=re.compile("run: pip install")):
            load_pretrained(BackboneConfig(backbone=f"{library}:resnet18"))
    else:
        pytest.skip(f"{library} is installed")


@pytest.mark.parametrize(
    ("name", "interpolation", "cut"),
    [
        ("timm:resnet18", "bicubic", "layer2.0"),
        ("timm:vit_tiny_patch16_224", "bicubic", "blocks.5"),
        ("timm:tf_efficientnet_lite0", "bicubic", "blocks.4.0"),
        ("torchvision:resnet18", "bilinear", "layer2.0"),
        ("torchvision:mobilenet_v3_small", "bilinear", "features.8"),
        ("torchvision:efficientnet_b0", "bicubic", "features.5.1"),
    ],
)
def test_a_model_with_saved_weights_is_loaded_and_cut(tmp_path, name, interpolation, cut):
    library, _, model = name.partition(":")
    module = require(library)
    make = module.create_model if library == "timm" else module.models.get_model
    network = make(model, num_classes=5).eval()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    config = BackboneConfig(backbone=name, weights=str(tmp_path / "weights.safetensors"))
    found = load_pretrained(config)
    assert (found.size, found.interpolation, found.channels) == (224, interpolation, 3)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        wanted = network(images)
        assert torch.equal(found.network(images), wanted)
        assert cut in [name for name, _, _ in cuts(found.network, images[:1])]
        for place in (None, cut):
            below, above = cut_network(found.network, place, images[:1])
            torch.testing.assert_close(above(below(images)), wanted)


def test_position_embeddings_of_timm_fit_another_size(tmp_path):
    timm = require("timm")
    network = timm.create_model("vit_tiny_patch16_224", img_size=96)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    config = BackboneConfig(
        backbone="timm:vit_tiny_patch16_224",
        weights=str(tmp_path / "weights.safetensors"),
        backbone_size=96,
    )
    assert load_pretrained(config).network(torch.zeros(1, 3, 96, 96)).shape == (1, 1000)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_an_unknown_model_gets_the_nearest_name(library):
    require(library)
    problem = f"is not a model of {library}"
    with refused("backbone", problem=problem, hint=re.compile("did you mean 'resnet")):
        load_pretrained(BackboneConfig(backbone=f"{library}:resnet-18"))


def _saved(transformers, model, folder):
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size).save_pretrained(folder)
    return BackboneConfig(backbone=f"hf:{folder}")


def test_a_folder_of_transformers_is_a_backbone(tmp_path):
    transformers = require("hf")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    settings = transformers.ViTConfig(**shape, image_size=32, patch_size=8)
    config = _saved(transformers, transformers.ViTForImageClassification(settings), tmp_path)
    found, again = load_pretrained(config), load_pretrained(config)
    assert (found.mean, found.size, found.interpolation) == ((0.5,) * 3, 32, "bilinear")
    # Its file has no weights of a pooling layer. Random ones would differ from load to load.
    assert found.digest == again.digest
    images = torch.randn(2, 3, 32, 32)
    below, above = cut_network(found.network, None, images)
    assert torch.equal(above(below(images)), found.network(images))
    assert below(images).shape == (2, 16)


def test_a_missing_folder_of_transformers_is_refused(tmp_path):
    require("hf")
    hint = "without access to the hub, name a folder, as hf:FOLDER"
    with refused("backbone", problem=re.compile("cannot be loaded"), hint=hint):
        load_pretrained(BackboneConfig(backbone=f"hf:{tmp_path / 'nothing'}"))


class Hub(nn.Module):
    """A model that returns records, as those of transformers do."""

    def __init__(self, **fields):
        super().__init__()
        self.pooler = nn.Linear(1, 1)
        self.fields = fields

    def forward(self, pixel_values):
        pooled = self.fields.get("pooler_output") if self.pooler is not None else None
        fields = self.fields | {"pooler_output": pooled}
        return type("Record", (), fields)


def test_features_are_the_pooled_output_the_class_token_or_the_mean():
    tokens, places = torch.randn(2, 5, 3), torch.randn(2, 3, 4, 4)
    images = torch.zeros(2, 3, 8, 8)
    pooled = Hub(last_hidden_state=tokens, pooler_output=places)
    assert torch.equal(HubFeatures(pooled, True)(images), places.mean((2, 3)))
    assert torch.equal(HubFeatures(pooled, False)(images), tokens.mean(1))
    assert pooled.pooler is None
    marked = Hub(last_hidden_state=tokens)
    marked.cls_token = nn.Parameter(torch.zeros(1))
    assert torch.equal(HubFeatures(marked, True)(images), tokens[:, 0])
