from lord.reporting.conclusion import conclusion
from lord.reporting.test_reporting import RECORDS, record


def test_it_names_the_cheapest_method_that_is_as_accurate_as_the_reference():
    dearer = record("er", 0, 90.0, 2.5e12)
    assert conclusion([*RECORDS, dearer]) == (
        "lord reached 70.5 ± 0.7 % Class-IL at 0.67 of the training FLOPs of "
        "der++ (62.0 ± 2.8 %, 2 seeds)."
    )


def test_without_derpp_the_most_accurate_method_is_the_reference():
    runs = [record("sgd", 0, 20.0, 1e12), record("er", 0, 60.0, 2e12)]
    assert conclusion(runs) == "No cheaper method was as accurate as er (60.0 %, 1 seed)."


def test_it_says_if_no_cheaper_method_is_as_accurate():
    worse = record("er", 0, 50.0, 1e12)
    assert conclusion([*RECORDS[:2], worse]) == (
        "No cheaper method was as accurate as der++ (62.0 ± 2.8 %, 2 seeds)."
    )


def test_for_a_single_method_it_has_accuracy_and_cost():
    assert conclusion([record("er", 0, 50.0, 1e12)]) == (
        "er reached 50.0 % Class-IL with 1e+12 training FLOPs (1 seed)."
    )


def test_at_equal_flops_it_names_the_most_accurate_method():
    given = {"flops_per_task": 1e9}
    runs = [record(name, 0, x, 5e9, settings=given) for name, x in (("er", 50.0), ("mine", 60.0))]
    assert conclusion(runs) == (
        "At 1e+09 FLOPs per task, mine was the most accurate (60.0 %), before er (50.0 %)."
    )
