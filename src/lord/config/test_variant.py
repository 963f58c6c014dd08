import re

import msgspec
import numpy as np
import pytest

from lord.config import Variant, as_variant, parse_variant
from lord.conftest import refused


def test_settings_follow_the_method_after_colons():
    variant = parse_variant("er:replay=16:weight-decay=1e-4")
    assert variant == Variant("er", {"replay": "16", "weight_decay": "1e-4"})
    assert variant.label == "er:replay=16:weight_decay=1e-4"


def test_a_name_stands_before_the_method():
    variant = parse_variant("tuned=der++:lr=0.03:momentum=0.9")
    assert variant == Variant("der++", {"lr": "0.03", "momentum": "0.9"}, "tuned")
    assert variant.label == "tuned"


@pytest.mark.parametrize(
    "text",
    [
        "lord",
        "lord:rho=0.25:merged=true",
        "tuned=der++:lr=0.03",
        "plain=er",
        "er:network=timm:resnet10t:width=8",
        "er:pace=none",
    ],
)
def test_text_is_read_back_as_it_was_written(text):
    assert parse_variant(text).text == text


def test_values_from_python_are_written_as_they_are_typed():
    settings = {"rho": 0.25, "merged": True, "pace": None, "split": [[0, 1], [2]]}
    assert Variant("lord", settings).text == "lord:rho=0.25:merged=true:pace=none:split=0,1/2"


def test_numpys_numbers_in_a_variant_can_be_written_to_a_file():
    variant = Variant("er", {"lr": np.float32(0.5), "replay": np.int64(16), "merged": True})
    assert msgspec.json.decode(msgspec.json.encode(variant))["settings"] == {
        "lr": 0.5,
        "replay": 16,
        "merged": True,
    }
    assert variant.text == "er:lr=0.5:replay=16:merged=true"


def test_settings_can_be_left_out():
    assert parse_variant("a=er:lr=1:replay=16").without(["lr"]).text == "a=er:replay=16"


@pytest.mark.parametrize("text", ["er:replay", "er:replay=", "=er"])
def test_text_of_another_form_is_refused(text):
    with refused("method", allowed=re.compile("=")):
        parse_variant(text)


def test_a_setting_given_twice_is_refused():
    with refused("lr", problem=re.compile("twice")):
        parse_variant("er:lr=1:lr=2")


@pytest.mark.parametrize("name", ["a b", "a/b", "a.b", "-a", "a,b", "a:b"])
def test_a_name_that_is_no_plain_word_is_refused(name):
    with refused("name", given=name):
        Variant("er", {}, name)


def test_anything_else_is_no_variant():
    with refused("method", given=5, allowed=re.compile("name of a method")):
        as_variant("method", 5)
