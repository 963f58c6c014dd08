from hypothesis import given
from hypothesis import strategies as st

from lord.reporting.names import Shown, read_text, short_names

WORDS = st.sampled_from(["lr", "momentum", "pace", "rho"])
VARIANTS = st.builds(
    Shown,
    st.sampled_from(["er", "der++", "lord+"]),
    st.dictionaries(WORDS, st.sampled_from(["0", "0.5", "1"])),
    st.just(""),
)


def names(*labels):
    return short_names([read_text(label) for label in labels])


def test_a_method_shown_once_needs_no_settings():
    assert names("er", "der++:optimizer=sgd:lr=0.03:momentum=0") == ["er", "der++"]


def test_only_the_settings_that_tell_variants_apart_are_named():
    labels = ("der++:optimizer=sgd:lr=0.03:momentum=0", "der++:optimizer=sgd:lr=0.1:momentum=0")
    assert names(*labels) == ["der++ (lr 0.03)", "der++ (lr 0.1)"]
    assert names("der++", labels[0]) == ["der++", "der++ (lr 0.03)"]


def test_several_settings_are_named_if_one_is_not_enough():
    found = names("lord+:pace=2:epochs=3", "lord+:pace=4:epochs=3", "lord+:pace=4:epochs=5")
    assert found == [
        "lord+ (epochs 3, pace 2)",
        "lord+ (epochs 3, pace 4)",
        "lord+ (epochs 5, pace 4)",
    ]


def test_a_given_name_replaces_the_method():
    assert names("mine=er:lr=1", "er") == ["mine", "er"]
    assert names("mine=er:lr=1", "mine=er:lr=2") == ["mine (lr 1)", "mine (lr 2)"]


def test_text_of_another_form_is_the_name_of_a_method():
    assert names("timm:vit", "er:lr=1") == ["timm:vit", "er"]


@given(st.lists(VARIANTS, min_size=1, max_size=8))
def test_different_variants_get_different_names(variants):
    pairs = dict(zip(map(str, variants), short_names(variants), strict=True))
    different = {(v.method, frozenset(v.settings.items())) for v in variants}
    assert len(set(pairs.values())) == len(different)


@given(st.lists(VARIANTS, min_size=1, max_size=8), st.randoms())
def test_names_do_not_depend_on_the_order(variants, source):
    shuffled = source.sample(variants, len(variants))
    there = dict(zip(map(repr, shuffled), short_names(shuffled), strict=True))
    assert short_names(variants) == [there[repr(variant)] for variant in variants]
