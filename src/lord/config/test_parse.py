from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lord.config import Config, UserError, build, choose
from lord.config.types import Count, Positive
from lord.conftest import refused


class Example(Config, frozen=True):
    lr: Positive = 0.1
    epochs: Count = 1
    order: Literal["natural", "seeded"] = "natural"


def test_text_from_a_command_line_or_yaml_is_converted():
    assert build(Example, {"lr": "1e-3", "epochs": "4"}) == Example(lr=0.001, epochs=4)
    assert build(Example, {"lr": ".5e-2"}).lr == 0.005


@pytest.mark.parametrize(
    ("field", "given", "allowed"),
    [
        ("lr", 0, "a number, above 0"),
        ("lr", float("inf"), "a number, above 0, finite"),
        ("lr", "inf", "a number, above 0, finite"),
        ("lr", "fast", "a number, above 0"),
        ("epochs", 1.5, "an integer, at least 1"),
        ("epochs", 0, "an integer, at least 1"),
        ("epochs", True, "an integer, at least 1"),
        ("order", "sorted", "one of natural, seeded"),
    ],
)
def test_a_wrong_value_is_answered_with_field_given_and_allowed(field, given, allowed):
    with refused(field, given=given, allowed=allowed):
        build(Example, {field: given})


def test_a_number_that_is_none_is_refused():
    with refused("lr", allowed="a number, above 0"):
        build(Example, {"lr": float("nan")})


def test_a_misspelt_word_is_answered_with_the_nearest():
    with refused("order", hint="did you mean 'seeded'?"):
        build(Example, {"order": "seded"})
    with refused("epoch", hint="did you mean 'epochs'?"):
        build(Example, {"epoch": 3})


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble, np.int8])
def test_numpys_numbers_of_every_width_are_numbers(kind):
    lr = build(Example, {"lr": kind(2.0)}).lr
    assert (lr, type(lr)) == (2.0, float)
    if not isinstance(kind(0), np.integer):
        with refused("lr", allowed="a number, above 0, finite"):
            build(Example, {"lr": kind("inf")})
        with refused("epochs", allowed="an integer, at least 1"):
            build(Example, {"epochs": kind(1.5)})


def test_a_configuration_cannot_be_changed():
    with pytest.raises(AttributeError):
        Example().lr = 1.0


def test_an_unknown_word_far_from_all_others_gets_no_hint():
    with refused("method", given="xyz", allowed="one of er, lord", hint=None):
        choose("method", "xyz", ["er", "lord"])


def test_an_error_reads_field_given_allowed_hint():
    error = UserError(field="epochs", given=0, allowed="an integer, at least 1", hint="try 5")
    assert str(error) == "epochs: got 0; expected an integer, at least 1; try 5"


def test_whoever_shows_an_error_decides_how_settings_are_written():
    error = UserError(
        "holds results", field="out", given=Path("a"), hint="set `overwrite` or `resume`"
    )
    assert str(error) == "out: 'a' holds results; set `overwrite` or `resume`"
    flags = "--out: 'a' holds results; set --overwrite or --resume"
    assert error.worded(lambda name: f"--{name}") == flags
