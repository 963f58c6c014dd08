"""A learner used as a scikit-learn estimator, and scikit-learn's checks that apply to it."""

import inspect

import numpy as np
import pytest

from lord.conftest import refused
from lord.learner import Learner
from lord.learner.conftest import digits, small

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

FOUR_DIMENSIONS = "X has four dimensions, holds uint8, and is not validated as a table"
USER_ERRORS = "errors are lord.UserError, and not ValueError or NotFittedError"
EARLY = "settings are checked when the learner is made"
PUBLIC = "a learner has public attributes that change, for example sessions"
TWO_CLASSES = "the first session needs two classes"

APPLICABLE = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_fit_score_takes_y",
    "check_estimators_overwrite_params",
    "check_estimators_fit_returns_self",
    "check_readonly_memmap_input",
    "check_mixin_order",
    "check_positive_only_tag_during_fit",
    "check_estimators_dtypes",
    "check_dtype_object",
    "check_pipeline_consistency",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_classifiers_one_label_sample_weights",
    "check_classifiers_classes",
    "check_non_transformer_estimators_n_iter",
    "check_decision_proba_consistency",
    "check_parameters_default_constructible",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_fit2d_1feature",
    "check_get_params_invariance",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
)
NOT_APPLICABLE = {
    "check_no_attributes_set_in_init": PUBLIC,
    "check_dont_overwrite_parameters": PUBLIC,
    "check_estimators_unfitted": USER_ERRORS,
    "check_do_not_raise_errors_in_init_or_set_params": EARLY,
    "check_set_params": EARLY,
    "check_n_features_in_after_fitting": FOUR_DIMENSIONS,
    "check_n_features_in": FOUR_DIMENSIONS,
    "check_complex_data": FOUR_DIMENSIONS,
    "check_estimators_nan_inf": FOUR_DIMENSIONS,
    "check_estimator_sparse_tag": FOUR_DIMENSIONS,
    "check_estimator_sparse_array": FOUR_DIMENSIONS,
    "check_estimator_sparse_matrix": FOUR_DIMENSIONS,
    "check_array_api_input": FOUR_DIMENSIONS,
    "check_classifier_data_not_an_array": FOUR_DIMENSIONS,
    "check_fit1d": FOUR_DIMENSIONS,
    "check_fit2d_predict1d": FOUR_DIMENSIONS,
    "check_supervised_y_2d": "y is a sequence of class names",
    "check_estimators_empty_data_messages": USER_ERRORS,
    "check_estimators_partial_fit_n_features": USER_ERRORS,
    "check_classifiers_train": USER_ERRORS,
    "check_classifiers_regression_target": USER_ERRORS,
    "check_supervised_y_no_nan": USER_ERRORS,
    "check_requires_y_none": USER_ERRORS,
    "check_classifiers_one_label": TWO_CLASSES,
    "check_fit2d_1sample": TWO_CLASSES,
}


class TableLearner(Learner):
    """A learner that takes scikit-learn's tables of numbers for images, and integers for names."""

    def learn(self, images, labels, **options):
        return super().learn(pixels(images), list(map(str, labels)), **options)

    def _probabilities(self, images):
        return super()._probabilities(pixels(images))

    @property
    def classes_(self):
        names = super().classes_
        numbers = all(name.lstrip("-").isdigit() for name in self.classes)
        return names.astype(int) if numbers else names

    def score(self, table, y):
        return float(np.mean(self.predict(table) == y))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def pixels(table):
    """Return an image for each row, whose first pixels are the row's numbers."""
    if np.ndim(table) == 4:
        return table
    numbers = np.clip(127 + 40 * np.asarray(table, float)[:, :64], 0, 255).astype(np.uint8)
    return np.pad(numbers, [(0, 0), (0, 64 - numbers.shape[1])]).reshape(-1, 1, 8, 8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", APPLICABLE)
def test_a_check_of_scikit_learn_passes(name):
    if not hasattr(estimator_checks, name):
        pytest.skip("this version of scikit-learn lacks the check")
    learner = TableLearner(method="er", network="cnn", width=4, epochs=1, buffer=32)
    getattr(estimator_checks, name)("TableLearner", learner)


@pytest.mark.filterwarnings("ignore")
def test_every_check_of_scikit_learn_is_accounted_for():
    learner = TableLearner(method="er", network="cnn", width=4, epochs=1, buffer=32)
    every = estimator_checks.estimator_checks_generator(learner, legacy=True, mark=None)
    names = {inspect.unwrap(getattr(check, "func", check)).__name__ for _, check in every}
    assert names <= {*APPLICABLE, *NOT_APPLICABLE}


def data():
    images, labels = digits("0", "1", "2")
    return images.numpy()[:240], np.array(labels)[:240]


@pytest.mark.slow
def test_cross_validation_and_search_take_a_learner():
    images, labels = data()
    learner = small(method="er", epochs=8, lr=0.1)
    assert cross_val_score(learner, images, labels, cv=2).min() > 0.6
    search = GridSearchCV(learner, {"lr": [0.001, 0.1]}, cv=2, error_score="raise")
    search.fit(images, labels)
    assert search.best_params_ == {"lr": 0.1}
    assert search.score(images, labels) > 0.6
    assert learner.sessions == []


def test_a_pipeline_takes_a_learner():
    images, labels = data()
    pipeline = make_pipeline(FunctionTransformer(np.invert), small(epochs=1))
    assert pipeline.fit(images, labels).predict(images).shape == labels.shape
    assert pipeline.predict_proba(images).sum(1) == pytest.approx(1)


def test_partial_fit_adds_a_session_and_fit_starts_again():
    images, labels = data()
    learner = small(epochs=1)
    with pytest.raises(NotFittedError):
        check_is_fitted(learner)
    few = labels != "2"
    learner.partial_fit(images[few], labels[few], classes=["0", "1", "2"])
    assert learner.classes_.tolist() == ["0", "1"]
    learner.partial_fit(images, labels)
    assert (len(learner.sessions), learner.classes_.tolist()) == (2, ["0", "1", "2"])
    assert learner.score(images, labels) == pytest.approx(learner.evaluate(images, labels) / 100)
    assert learner.score(images[:2], ["a", "b"]) == 0
    learner.fit(images, labels)
    assert len(learner.sessions) == 1
    with refused("labels"):
        learner.fit(images, labels[:3])
    assert len(learner.sessions) == 1
    check_is_fitted(learner)


def test_parameters_are_those_given():
    learner = Learner(network="cnn", width=8, lr=0.1)
    assert learner.get_params()["lr"] == 0.1
    assert learner.set_params(width=4).config.network.width == 4
    assert clone(learner).get_params() == learner.get_params()
    learner.fit(*data())
    with refused("lr", problem="cannot change after the first session"):
        learner.set_params(lr=0.2)
    assert repr(learner) == "Learner(method='lord+', network='cnn', width=4): 1 session, 3 classes"
