import re

import pytest
import yaml

from lord.config import Variant, assigned, fields, read_yaml
from lord.conftest import refused
from lord.methods import METHODS
from lord.training import compose, flat
from lord.training.config import difference, folder_name
from lord.training.sections import SECTIONS


def test_setting_names_are_unique_over_all_sections_and_methods():
    shared = [name for section in SECTIONS.values() for name in fields(section)]
    assert len(shared) == len(set(shared))
    for method in METHODS.values():
        assert not set(shared) & set(method.settings)


def test_presets_published_values_and_given_values_replace_each_other_in_this_order():
    assert compose("er", {"data": "x"}, preset="s-cifar10").optimizer.lr == 0.1
    assert compose("lord", {"data": "x"}, preset="s-cifar10").optimizer.lr == 0.03
    assert compose("er", {"data": "x", "lr": 0.5}, preset="s-cifar10").optimizer.lr == 0.5
    assert compose("lord", {"data": "x"}, preset="s-tinyimg").training.epochs == 100


def test_the_nearest_published_buffer_size_is_used():
    near = compose("der++", {"data": "x", "buffer": 4000}, preset="s-cifar10")
    assert (near.settings.beta, near.settings.buffer) == (1.0, 4000)


def test_without_a_preset_the_data_decides():
    assert compose("lord").preset == "digits"
    assert compose("lord", {"data": "photos"}).preset == "images"


def test_a_setting_may_be_for_one_method_only():
    given = {"lord.rho": 0.25, "buffer": 300}
    assert compose("lord", given, beside=("er",)).settings.rho == 0.25
    assert compose("er", given, beside=("lord",)).settings.buffer == 300


def test_no_backbone_may_be_text():
    for given in ({}, {"backbone": None}, {"backbone": "none"}):
        assert compose("lord", given).settings.growth == "plain"
    assert compose("lord", {"backbone": "efficientnet-lite0"}).settings.growth == "none"


@pytest.mark.parametrize("method", METHODS)
def test_a_setting_of_one_method_is_read_whatever_the_methods_name(method, tmp_path):
    typed = dict([assigned(f"{method}.weight-decay=0.25")])
    (tmp_path / "own.yaml").write_text(f"{method}.weight-decay: 0.25")
    assert typed == {f"{method}.weight_decay": "0.25"}
    for given in (typed, read_yaml(tmp_path / "own.yaml")):
        assert compose(method, given, beside=["er", "sgd"]).optimizer.weight_decay == 0.25


@pytest.mark.parametrize("method", [*METHODS, "er:replay=16", "tuned=der++:lr=0.05:momentum=0.9"])
def test_a_written_configuration_is_read_back_the_same(method, tmp_path):
    config = compose(method, {"lr": 1e-5, "split": [[0, 1], [2]]}, seed=3)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(flat(config)))
    values = read_yaml(tmp_path / "config.yaml")
    method, preset, seed = (values.pop(name) for name in ("method", "preset", "seed"))
    assert compose(method, values, preset=preset, seed=seed) == config


@pytest.mark.parametrize(
    ("method", "given", "field", "parts"),
    [
        ("lrod", {}, "method", {"given": "lrod", "hint": "did you mean 'lord'?"}),
        (5, {}, "method", {"given": 5}),
        ("sgd", {"buffer": 100}, "buffer", {"problem": "is not a setting of sgd"}),
        ("er", {"rhoo": 1}, "rhoo", {"hint": "did you mean 'rho'?"}),
        ("er", {"lrod.rho": 1}, "lrod.rho", {"given": "lrod"}),
        ("er", {"lord.rho": 2}, "rho", {"given": 2}),
        ("er:rho=1", {}, "rho", {"problem": "is not a setting of er"}),
        ("er", {"buffer": 10}, "buffer", {"given": 10, "allowed": re.compile("at least the 32")}),
        ("er", {"precision": "fp16"}, "precision", {"allowed": "one of fp32, bf16"}),
        ("lord", {"rho": 1.5}, "rho", {"given": 1.5, "allowed": "a number from 0 to 1"}),
        ("er", {"epochs": 0}, "epochs", {"given": 0, "allowed": "an integer, at least 1"}),
        ("er", {"split": 5}, "split", {"allowed": re.compile("classes in groups")}),
        ("lord=er", {}, "name", {"given": "lord"}),
        ("lord", {3: 1}, "given", {"given": 3}),
        ("lord", "epochs=5", "given", {"given": "epochs=5"}),
    ],
)
def test_a_wrong_setting_is_named(method, given, field, parts):
    with refused(field, **parts):
        compose(method, given)


@pytest.mark.parametrize("seed", [-1, 1.5, True, 2**31])
def test_a_seed_is_an_integer(seed):
    with refused("seed", given=seed, allowed=re.compile("an integer, at least 0")):
        compose("er", seed=seed)


def test_a_variant_from_python_equals_that_from_text():
    one = compose(Variant("lord", {"rho": 0.25}), {"rho": 1.0})
    other = compose("lord:rho=0.25")
    assert one.settings == other.settings
    assert folder_name(one) == folder_name(other) == "lord,rho=0.25-seed0"


def test_a_named_variant_is_called_by_its_name():
    config = compose("tuned=der++:lr=0.05:momentum=0.9", beside=["er"])
    assert (config.method, config.label, config.optimizer.lr) == ("der++", "tuned", 0.05)
    assert folder_name(config) == "tuned-seed0"


def test_a_preset_without_images_needs_the_data_setting():
    with refused("data", problem=re.compile("'s-cifar10' needs the path")):
        compose("er", preset="s-cifar10")


@pytest.mark.parametrize("text", ["- 1\n- 2", "a: [", "7"])
def test_a_file_that_is_not_a_configuration_is_named(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with refused(None, problem=re.compile("c.yaml")):
        read_yaml(tmp_path / "c.yaml")


def test_the_folder_name_of_a_variant_has_no_slash():
    config = compose("sgd:data=a/b:epochs=2", seed=3)
    assert folder_name(config) == "sgd,data=a_b,epochs=2-seed3"


OLD = {"start": 0, "late": 0.0, "every": 1, "distill_every": 1, "pruned": True}
"""Settings of version 0.1 that were removed, at their defaults."""


def test_removed_settings_with_their_defaults_have_no_effect():
    assert compose("lord", OLD) == compose("lord")
    assert compose("lord:every=1").settings == compose("lord").settings
    assert compose("er", {"lord.every": 1}, beside=["lord"]) == compose("er")


def test_an_unpruned_teacher_is_now_a_search_without_candidates():
    for method, given in (("lord", {"pruned": False, "candidates": 80}), ("lord:pruned=false", {})):
        assert compose(method, given).settings.candidates == 0


@pytest.mark.parametrize("name", ["every", "start", "late", "distill_every"])
def test_a_removed_setting_with_an_effect_is_refused(name):
    for given in ({name: 2}, {f"lord.{name}": 2}):
        with refused(name, given=2, problem=re.compile("removed after version 0.1")):
            compose("lord", given)


def test_a_run_of_version_0_1_is_refused_only_if_its_settings_had_another_effect(tmp_path):
    config = flat(compose("lord", {"candidates": 80}))
    difference(config | OLD, config, tmp_path)
    with refused("every", given=None, problem=re.compile("differs from 2")):
        difference(config | OLD | {"every": 2}, config, tmp_path)
    with refused("candidates", given=80):
        difference(config | OLD | {"pruned": False}, config, tmp_path)
    difference(config | OLD | {"pruned": False}, config | {"candidates": 0}, tmp_path)


def test_a_run_of_a_version_with_fewer_settings_goes_on_if_they_have_their_defaults(tmp_path):
    config = flat(compose("er"))
    older = {name: value for name, value in config.items() if name not in ("amsgrad", "eps")}
    difference(older, config, tmp_path)
    with refused("amsgrad", given=True, problem=re.compile("differs from False")):
        difference(older, config | {"amsgrad": True}, tmp_path)
