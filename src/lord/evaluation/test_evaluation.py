import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lord.config import UserError
from lord.evaluation import average_incremental, final_average, forgetting, read_record, score
from lord.streams import Task


def task(index, labels):
    first = 2 * index
    labels = torch.tensor(labels)
    images = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    images[:, 0, 0, 0] = labels.to(torch.uint8)
    return Task(index, (first, first + 1), images, labels)


TASKS = (task(0, [0, 0, 1, 1]), task(1, [2, 3, 3, 3]))


def test_class_il_takes_the_best_class_seen_and_task_il_the_best_of_the_task():
    def newest_first(images):  # right within the task, but biased to the newer classes
        logits = torch.nn.functional.one_hot(images.flatten().long(), 6).float()
        return logits + torch.tensor([0, 0, 0, 2, 0, 9])

    scores = score(newest_first, TASKS, seen=4, batch=3)
    assert scores.class_il == [0, 75]
    assert scores.task_il == [100, 75]


@given(st.integers(1, 9))
def test_the_batch_size_of_scoring_does_not_matter(batch):
    def guess(images):
        return torch.stack([images.flatten() % 3 == c for c in range(4)], 1).float()

    assert score(guess, TASKS, 4, batch) == score(guess, TASKS, 4, 100)


def test_summaries_of_a_matrix():
    matrix = [[90.0], [50.0, 80.0], [60.0, 40.0, 70.0]]
    assert final_average(matrix) == pytest.approx(170 / 3)
    assert forgetting(matrix) == ((90 - 60) + (80 - 40)) / 2
    assert average_incremental(matrix) == pytest.approx((90 + 65 + 170 / 3) / 3)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_nothing_is_forgotten_where_accuracy_never_falls(accuracies):
    rising = sorted(accuracies)
    matrix = [[rising[i]] * (i + 1) for i in range(len(rising))]
    assert forgetting(matrix) in (None, 0)


def test_joint_training_has_nothing_to_forget():
    assert forgetting([[90.0, 80.0]]) is None


def test_a_folder_without_a_finished_run_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no finished run .*no summary.json"):
        read_record(tmp_path)
    (tmp_path / "summary.json").write_bytes(msgspec.json.encode({"method": "er"}))
    with pytest.raises(UserError, match="is not a run's summary"):
        read_record(tmp_path)
