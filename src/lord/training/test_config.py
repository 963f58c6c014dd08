import pytest
import yaml

from lord.config import UserError, fields
from lord.methods import METHODS
from lord.training import compose, flat, read_yaml
from lord.training.config import SECTIONS, folder_name


def test_setting_names_are_unique_over_all_sections_and_methods():
    shared = [name for section in SECTIONS.values() for name in fields(section)]
    assert len(shared) == len(set(shared))
    for method in METHODS.values():
        assert not set(shared) & set(fields(method.Config))


def test_presets_then_published_values_then_what_is_given():
    assert compose("er", {"data": "x"}, preset="s-cifar10").optimizer.lr == 0.1
    assert compose("lord", {"data": "x"}, preset="s-cifar10").optimizer.lr == 0.03
    assert compose("er", {"data": "x", "lr": 0.5}, preset="s-cifar10").optimizer.lr == 0.5
    assert compose("lord", {"data": "x"}, preset="s-tinyimg").training.epochs == 100


def test_the_nearest_published_buffer_size_is_used():
    near = compose("der++", {"data": "x", "buffer": 4000}, preset="s-cifar10")
    assert (near.settings.beta, near.settings.buffer) == (1.0, 4000)


def test_the_preset_follows_the_data_where_none_is_given():
    assert compose("lord").preset == "digits"
    assert compose("lord", {"data": "photos"}).preset == "images"


def test_a_setting_may_be_for_one_method_only():
    given = {"lord.rho": 0.25, "buffer": 300}
    assert compose("lord", given, beside=("er",)).settings.rho == 0.25
    assert compose("er", given, beside=("lord",)).settings.buffer == 300


@pytest.mark.parametrize("method", METHODS)
def test_a_written_configuration_is_read_back_the_same(method, tmp_path):
    config = compose(method, {"lr": 1e-5, "split": [[0, 1], [2]]}, seed=3)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(flat(config)))
    values = read_yaml(tmp_path / "config.yaml")
    own = [values.pop(name) for name in ("method", "preset", "seed")]
    assert compose(own[0], values, preset=own[1], seed=own[2]) == config


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        (
            "lrod",
            {},
            r"unknown method 'lrod' \(did you mean 'lord'\?\); known: lord, lord\+",
        ),
        ("sgd", {"buffer": 100}, "sgd has no setting 'buffer'; sgd has: statistics"),
        ("er", {"rhoo": 1}, r"unknown setting 'rhoo' \(did you mean 'rho'\?\)"),
        ("er", {"lrod.rho": 1}, "unknown method 'lrod'"),
        ("er", {"buffer": 10}, "buffer: holds 10, fewer than the 32 that replay draws"),
        ("er", {"precision": "fp16"}, r"value of precision 'fp16' .* known: fp32, bf16"),
        ("lord", {"rho": 1.5}, "rho: expected float <= 1.0, got 1.5"),
        ("er", {"epochs": 0}, "epochs: expected int >= 1, got 0"),
    ],
)
def test_what_does_not_fit_is_named(method, given, said):
    with pytest.raises(UserError, match=said):
        compose(method, given)


def test_a_preset_for_other_images_asks_for_them():
    with pytest.raises(UserError, match="preset 's-cifar10' needs --data PATH"):
        compose("er", preset="s-cifar10")


@pytest.mark.parametrize("text", ["- 1\n- 2", "a: [", "7"])
def test_a_file_that_is_no_configuration_is_named(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=r"c.yaml"):
        read_yaml(tmp_path / "c.yaml")


def test_a_variants_folder_is_one_folder_whatever_its_values():
    config = compose("sgd:data=a/b:epochs=2", seed=3)
    assert folder_name(config) == "sgd,data=a_b,epochs=2-seed3"
