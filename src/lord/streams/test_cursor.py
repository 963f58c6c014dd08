import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator

from lord.streams import Cursor, batch_count


def ranges(count, size):
    """Return the batches of an epoch as a list."""
    cut = [range(start, min(start + size, count)) for start in range(0, count, size)]
    return [rows for rows in cut if len(rows) > 1 or len(cut) == 1]


def epoch_by_epoch(count, size, epochs, generator):
    """Return the rows of each batch and the generator's state after it, by nested loops."""
    steps = []
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator)
        for places in ranges(count, size):
            rows = order[places]
            if len(rows) == 1:
                rows = rows.repeat(2)
            steps.append((rows.tolist(), generator.get_state().tolist()))
    return steps


def step_by_step(count, size, steps, generator):
    """Return the same for a number of steps, with a new order after the last row."""
    order, place, found = None, 0, []
    for _ in range(steps):
        cut = ranges(count, size)
        if order is None or place == len(cut):
            order, place = torch.randperm(count, generator=generator), 0
        rows = order[cut[place]]
        if len(rows) == 1:
            rows = rows.repeat(2)
        place += 1
        found.append((rows.tolist(), generator.get_state().tolist()))
    return found


def taken(cursor, count, steps):
    return [
        (cursor.next_rows(count).tolist(), cursor.generator.get_state().tolist())
        for _ in range(steps)
    ]


def seeded(seed=3):
    return Generator().manual_seed(seed)


@given(st.integers(1, 30), st.integers(2, 9))
def test_the_count_of_batches_is_correct(count, size):
    assert batch_count(count, size) == len(ranges(count, size))


@given(st.integers(1, 20), st.integers(2, 8), st.integers(1, 3))
def test_batches_and_draws_equal_those_of_nested_loops(count, size, epochs):
    expected = epoch_by_epoch(count, size, epochs, seeded())
    cursor = Cursor(size, seeded())
    assert taken(cursor, count, len(expected)) == expected
    assert cursor.epoch == epochs
    assert cursor.epoch_ended


@given(st.integers(1, 20), st.integers(2, 8), st.integers(1, 25))
def test_batches_and_draws_equal_those_of_one_step_at_a_time(count, size, steps):
    expected = step_by_step(count, size, steps, seeded())
    assert taken(Cursor(size, seeded()), count, steps) == expected


@pytest.mark.parametrize("done", range(8))
def test_a_cursor_resumed_anywhere_takes_the_same_rows(done):
    cursor, count = Cursor(4, seeded()), 11
    taken(cursor, count, done)
    state, drawn = cursor.state_dict(), cursor.generator.get_state()
    resumed = Cursor(4, seeded(0))
    resumed.load_state_dict(state)
    resumed.generator.set_state(drawn)
    assert taken(resumed, count, 7) == taken(cursor, count, 7)
    assert resumed.epoch == cursor.epoch


def test_a_checkpoint_at_the_end_of_an_epoch_continues_with_the_next():
    cursor = Cursor(4, seeded())
    cursor.load_state_dict({"order": torch.arange(9), "place": 2, "epoch": 4})
    assert cursor.state_dict() == {"order": None, "place": 0, "epoch": 5}
    assert cursor.epoch_ended


def test_a_learners_old_checkpoint_without_an_epoch_is_read():
    cursor = Cursor(4, seeded())
    cursor.load_state_dict({"order": torch.arange(9), "place": 1})
    assert cursor.next_rows(9).tolist() == [4, 5, 6, 7]
    assert cursor.epoch_ended


def test_one_image_is_learned_twice_at_once():
    assert Cursor(4, seeded()).next_rows(1).tolist() == [0, 0]


def test_an_epoch_has_ended_only_after_its_last_batch():
    cursor = Cursor(4, seeded())
    ended = [cursor.epoch_ended]
    for _ in range(4):
        cursor.next_rows(6)
        ended.append(cursor.epoch_ended)
    assert ended == [False, False, True, False, True]


@pytest.mark.parametrize("count", [1, 8, 9, 10])
def test_images_done_and_left_add_up_to_all_images(count):
    cursor, done = Cursor(4, seeded()), 0
    for _ in range(3 * batch_count(count, 4)):
        assert cursor.images_done(count) == done
        assert cursor.images_left(count, 3) == sum(map(len, ranges(count, 4))) * 3 - done
        done += len(set(cursor.next_rows(count).tolist()))
    assert cursor.images_left(count, 3) == 0
