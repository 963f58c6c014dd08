import re

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lord.conftest import refused
from lord.evaluation import (
    average_incremental,
    backward_transfer,
    final_average,
    forgetting,
    minimum_accuracy,
    read_record,
    score,
    stability_gap,
)
from lord.streams import Task


def task(index, labels):
    first = 2 * index
    labels = torch.tensor(labels)
    images = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    images[:, 0, 0, 0] = labels.to(torch.uint8)
    return Task(index, (first, first + 1), images, labels)


TASKS = (task(0, [0, 0, 1, 1]), task(1, [2, 3, 3, 3]))


def test_class_il_compares_all_classes_seen_and_task_il_those_of_the_task():
    def newest_first(images):  # right within each task, but biased towards newer classes
        logits = torch.nn.functional.one_hot(images.flatten().long(), 6).float()
        return logits + torch.tensor([0, 0, 0, 2, 0, 9])

    scores = score(newest_first, TASKS, seen=4, batch=3)
    assert scores.class_il == [0, 75]
    assert scores.task_il == [100, 75]


@given(st.integers(1, 9))
def test_scores_do_not_depend_on_the_batch_size(batch):
    def guess(images):
        return torch.stack([images.flatten() % 3 == c for c in range(4)], 1).float()

    assert score(guess, TASKS, 4, batch) == score(guess, TASKS, 4, 100)


def test_recency_counts_images_of_earlier_tasks_only():
    def always_three(images):
        return torch.nn.functional.one_hot(torch.full((len(images),), 3), 6).float()

    scores = score(always_three, TASKS, seen=4)
    assert scores.recency == 100
    assert score(always_three, TASKS[:1], seen=4).recency is None
    again = task(0, [0, 1, 1, 0])
    assert (
        score(always_three, (TASKS[0], again), seen=2).recency is None
    )  # the newest task has no new classes


@given(st.integers(1, 5), st.integers(0, 9))
def test_confusion_counts_each_image_once_and_its_diagonal_the_right_ones(batch, shift):
    def guess(images):  # one class off on some
        values = images.flatten().long()
        return torch.nn.functional.one_hot((values + (values * shift) % 3) % 6, 6).float()

    found = score(guess, TASKS, 4, batch)
    counts = torch.tensor(found.confusion)
    labels = torch.cat([task.labels for task in TASKS])
    assert counts.sum(1).tolist() == labels.bincount(minlength=4).tolist()
    hits = counts.diag().view(2, 2).sum(1) / counts.view(2, 8).sum(1)
    assert found.class_il == pytest.approx((100 * hits).tolist())


def test_calibration_is_the_distance_between_confidence_and_accuracy():
    def sure(logit):
        def predict(images):  # always class 1, with one confidence
            return torch.tensor([0.0, logit]).expand(len(images), 2)

        return predict

    confidence = torch.tensor([0.0, 2.0]).softmax(0)[1].item()
    scores = score(sure(2.0), [task(0, [0, 1, 1, 1])], seen=2)
    assert scores.calibration == pytest.approx(100 * abs(confidence - 0.75), rel=1e-5)
    even = score(sure(torch.tensor(3.0).log().item()), [task(0, [0, 1, 1, 1])], seen=2)
    assert even.calibration == pytest.approx(0, abs=1e-4)


def test_task_il_supports_classes_that_are_not_consecutive():
    def first_wins(images):
        return torch.tensor([3.0, 9.0, 9.0, 1.0]).expand(len(images), 4)

    labels = torch.tensor([0, 3, 3, 3])
    apart = Task(1, (0, 3), torch.zeros(4, 1, 1, 1, dtype=torch.uint8), labels)
    assert score(first_wins, [apart], seen=4).task_il == [25]


def test_top_5_looks_for_the_class_among_the_five_highest_logits_of_classes_seen():
    tasks = (*TASKS, task(2, [4, 5, 5, 5]), task(3, [6, 6, 7, 7]))
    logits = torch.randn(8, 9, generator=torch.Generator().manual_seed(0))
    logits[:, 8] = 99  # a class not seen yet

    def predict(images):
        return logits[images.flatten().long()]

    ranks = [
        sorted(row.tolist(), reverse=True).index(row[label])
        for label, row in enumerate(logits[:, :8])
    ]
    expected = [100 * sum(ranks[label] < 5 for label in each.labels) / 4 for each in tasks]
    found = score(predict, tasks, seen=8, batch=3)
    assert found.top5 == expected
    assert 0 < sum(expected) < 400
    assert score(predict, TASKS, seen=4).top5 is None


def test_per_class_accuracy_is_none_for_a_class_without_images():
    def always_three(images):
        return torch.nn.functional.one_hot(torch.full((len(images),), 3), 6).float()

    scores = score(always_three, [task(1, [3, 3, 2])], seen=4)
    assert scores.per_class == [None, None, 0, 100]


def test_logits_that_are_nan_are_scored_as_the_first_class():
    scores = score(lambda images: torch.full((len(images), 4), torch.nan), TASKS, seen=4)
    assert scores.class_il == [50, 0]  # all images are predicted as class 0
    assert scores.calibration < 100


@pytest.mark.parametrize(
    ("logits", "problem"),
    [(None, "returned NoneType"), (torch.zeros(2, 4), "returned (2, 4)")],
)
def test_predictions_of_another_shape_are_refused(logits, problem):
    allowed = re.compile(r"\(4, classes\), with at least 2 classes")
    with refused("predict", problem=problem, allowed=allowed):
        score(lambda images: logits, TASKS, seen=4)


def test_summaries_of_a_matrix():
    matrix = [[90.0], [50.0, 80.0], [60.0, 40.0, 70.0]]
    assert final_average(matrix) == pytest.approx(170 / 3)
    assert forgetting(matrix) == ((90 - 60) + (80 - 40)) / 2
    assert average_incremental(matrix) == pytest.approx((90 + 65 + 170 / 3) / 3)
    assert backward_transfer(matrix) == ((60 - 90) + (40 - 80)) / 2
    assert minimum_accuracy(matrix, []) == (50 + 40) / 2
    assert minimum_accuracy(matrix, [(1, [20.0, 30.0]), (2, [70.0, 10.0, 0.0])]) == (20 + 10) / 2
    assert stability_gap(matrix, []) == ((90 - 50) + (65 - 50)) / 2
    assert (
        stability_gap(matrix, [(1, [20.0, 30.0]), (2, [70, 10, 0])]) == ((90 - 20) + (65 - 40)) / 2
    )


def test_forgetting_compares_with_earlier_accuracies_only():
    assert forgetting([[50.0], [70.0, 80.0]]) == -20  # the task improved after it ended
    assert forgetting([[90.0], [50.0, 80.0], [95.0, 60.0, 0.0]]) == ((90 - 95) + (80 - 60)) / 2


def test_joint_training_has_no_forgetting():
    assert forgetting([[90.0, 80.0]]) is None


def test_a_missing_or_damaged_record_is_reported(tmp_path):
    with refused(None, problem=re.compile("no finished run .* no summary.json")):
        read_record(tmp_path)
    (tmp_path / "summary.json").write_bytes(msgspec.json.encode({"method": "er"}))
    with refused(None, problem=re.compile("is not the summary of a run")):
        read_record(tmp_path)
