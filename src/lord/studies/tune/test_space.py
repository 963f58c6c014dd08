"""Spaces and plans of a search: what they accept, and what they refuse."""

import re

import pytest

from lord.config import Variant
from lord.conftest import refused
from lord.studies.tune import make_plan, parse_space
from lord.studies.tune.space import FORM, space_of
from lord.studies.tune.test_tune import LR, plan_of

CHOICES = "LOW..HIGH, or two or more different values"
FINITE = "LOW..HIGH, two finite numbers, the lower one first"


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("lr", FORM),
        ("lr=", FORM),
        ("lr=0.1", CHOICES),
        ("lr=0.1,0.1", CHOICES),
        ("lr=0.1,,0.2", CHOICES),
        ("lr=0.3..0.01", FINITE),
        ("lr=0.1..nan", FINITE),
        ("lr=0.1..inf", FINITE),
        ("lr=a..b", "LOW..HIGH, two numbers"),
        ("lr=1..2..3", "LOW..HIGH, two numbers"),
        ("lr=0..0.3:log", "LOW above 0 on a logarithmic scale"),
        ("lr=0.1..0.3:ln", "LOW..HIGH or LOW..HIGH:log"),
    ],
)
def test_a_space_of_another_form_is_refused(text, allowed):
    with refused("space", given=text, allowed=allowed):
        parse_space([text])


@pytest.mark.parametrize(
    "text", ["lr=0.01..0.3:log", "epochs=1..5", "replay=16,32", "er.nesterov=true,false"]
)
def test_a_space_is_told_as_it_is_typed(text):
    assert parse_space([text])[0].text == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lr=-1..0.3", "lr=-1: .*expected"),
        ("epochs=1..2.5", "epochs=2.5: .*expected an integer"),
        ("epochs=0..2", "epochs=0: .*expected"),
        ("nesterov=0..1", "nesterov has no range"),
        ("schedule=a,b", "schedule=a: .*expected one of"),
        ("lrr=0.1..0.2", "did you mean 'lr'"),
        ("eer.lr=0.1..0.2", "eer.lr=0.1: .*expected one of"),
        ("rho=0.1..0.2", "rho"),
        ("validation=0.1..0.2", "validation cannot be searched"),
        ("er.subset=0.1..0.2", "subset cannot be searched"),
        ("width=4,8", "width is both searched and set"),
    ],
)
def test_values_that_a_setting_cannot_have_are_refused(text, problem):
    settings = {"width": 8} if text.startswith("width") else {"momentum": 0.9}
    with refused("space", problem=re.compile(problem)):
        make_plan(["er"], settings, parse_space([text]), trials=9)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"trials": 1, "flops": 1e9}, "trials"),
        ({"trials": 1}, "trials"),
        ({"flops": float("nan")}, "flops"),
        ({"flops": -1.0}, "flops"),
        ({"trials": 2, "given": {"skip": 0.9, "subset": 0.1}}, "skip"),
        ({"trials": 2, "given": {"validation": 0}}, "validation"),
        (
            {"trials": 2, "on": "test-stream", "given": {"validation": 0.2, "subset": 0.5}},
            "validation",
        ),
    ],
)
def test_budgets_and_images_that_are_not_allowed_are_refused(options, field):
    with refused(field):
        plan_of("er", "sgd", **options)


@pytest.mark.parametrize(
    ("methods", "given"), [(["er:validation=0"], {}), (["er", "sgd"], {"er.validation": 0})]
)
def test_one_method_cannot_be_scored_on_other_images(methods, given):
    with refused("validation", problem=re.compile("'er.validation'")):
        plan_of(*methods, given=given)


def test_methods_and_settings_given_twice_and_empty_spaces_are_refused():
    with refused("methods", problem="er is given twice"):
        plan_of("er", "er:replay=16")
    with refused("space", problem="lr is given twice"):
        plan_of("er", space=["lr=0.1,0.2", "lr=0.1..0.2"])
    with refused("space", problem="er.lr is both searched and set"):
        plan_of("er", "sgd", space=["lr=0.1,0.2"], given={"er.lr": 0.1})
    with refused("space", problem="holds no setting of sgd"):
        plan_of("er", "sgd", space=["replay=16,32"])
    with refused("space", problem="is empty"):
        plan_of("er", space=[])


def test_a_method_searches_the_settings_it_has_with_their_types():
    space = parse_space(
        [*LR, "epochs=1..3", "replay=16,32", "lord.rho=0.25,1", "nesterov=true,false"]
    )
    both = ["er", "lord"]
    given = {"width": 8, "momentum": 0.9}
    er, ours = (space_of(Variant(name), space, given, None, both) for name in both)
    assert set(er) == {"lr", "epochs", "replay", "nesterov"}
    assert set(ours) == {*er, "rho"}
    assert (er["epochs"].low, er["epochs"].high) == (1, 3)
    assert isinstance(er["epochs"].low, int)
    assert er["replay"].choices == (16, 32)
    assert ours["rho"].choices == (0.25, 1.0)
    assert er["nesterov"].choices == (True, False)
