from typing import Literal

import numpy as np
import pytest

from lord.config import Settings, UserError, build, choose
from lord.config.rules import Count, Positive


class Example(Settings, frozen=True):
    lr: Positive = 0.1
    epochs: Count = 1
    order: Literal["natural", "seeded"] = "natural"


def test_text_from_a_command_line_or_yaml_is_converted():
    assert build(Example, {"lr": "1e-3", "epochs": "4"}) == Example(lr=0.001, epochs=4)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lr": 0}, "lr: expected float > 0.0, got 0"),
        ({"lr": float("nan")}, "lr: expected float > 0.0, got nan"),
        ({"lr": "inf"}, "lr: expected a finite number, got 'inf'"),
        ({"lr": "fast"}, "lr: expected float, got 'fast'"),
        ({"epochs": 1.5}, "epochs: expected int, got 1.5"),
        ({"epochs": 0}, "epochs: expected int >= 1, got 0"),
        ({"epochs": True}, "epochs: expected int, got True"),
        (
            {"order": "sorted"},
            "unknown value of order 'sorted' (did you mean 'seeded'?); known: natural, seeded",
        ),
        (
            {"epoch": 3},
            "unknown setting 'epoch' (did you mean 'epochs'?); known: epochs, lr, order",
        ),
    ],
)
def test_a_wrong_value_is_answered_with_field_given_and_allowed(values, said):
    with pytest.raises(UserError) as error:
        build(Example, values)
    assert str(error.value) == said


def test_numpys_numbers_are_numbers():
    assert build(Example, {"lr": np.float64(0.5)}) == Example(lr=0.5)


def test_a_configuration_cannot_be_changed():
    with pytest.raises(AttributeError):
        Example().lr = 1.0


def test_an_unknown_word_far_from_all_others_gets_no_hint():
    with pytest.raises(UserError, match=r"^unknown method 'xyz'; known: er, lord$"):
        choose("method", "xyz", ["er", "lord"])
