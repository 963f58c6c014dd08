"""Names of new classes."""

import re

import pytest

from lord.conftest import refused
from lord.learner.names import check_names, doubtful

SPELLINGS = ["Teapot", "teapott", "tapot", "taepot", "teabot", "te\u0430pot", "te\u0301apot"]
NUMBERS = [("class1", "class2"), ("n02085620", "n02085720"), ("week1", "week11")]


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_name_close_to_a_known_one_is_doubtful(name):
    assert doubtful(name, "teapot")
    with refused(None, hint="rename the folder to 'teapot', or set `new_classes` if it is right"):
        check_names([name], ["cup", "teapot"], {}, {}, allowed=None, ask=None)
    check_names([name], ["cup", "teapot"], {}, {}, allowed=True, ask=None)


@pytest.mark.parametrize(("name", "other"), [*NUMBERS, ("cat", "car"), ("a", "b")])
def test_short_names_and_numbers_are_not_doubtful(name, other):
    assert not doubtful(name, other)


def test_two_new_names_that_look_alike_are_doubtful_but_not_two_that_differ():
    check_names(["bear", "boar"], [], {}, {}, allowed=None, ask=None)
    with refused(None, problem=re.compile("'teapot' would become a new class beside 'Teapot'")):
        check_names(["Teapot", "teapot"], [], {}, {}, allowed=None, ask=None)


def test_new_classes_can_be_refused():
    with refused(None, problem=re.compile("'ant', 'bee' would be new")):
        check_names(["ant", "bee"], ["cat"], {}, {}, allowed=False, ask=lambda _: True)


def test_a_new_name_for_pictures_of_a_known_class_is_doubtful():
    problem = "'pot' would become a new class, but has pictures of 'teapot'"
    with refused(None, problem=problem):
        check_names(["pot"], ["teapot"], {"pot": "teapot"}, {}, allowed=None, ask=None)
