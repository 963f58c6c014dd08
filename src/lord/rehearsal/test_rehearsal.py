import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lord.conftest import refused
from lord.rehearsal import Balanced, Buffer, LossAware, admission_probability, chance


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(
    st.integers(1, 12),
    st.lists(st.integers(1, 9), min_size=1, max_size=8),
    st.integers(0, 1000),
)
def test_offering_a_batch_equals_offering_its_rows_one_by_one(size, batches, seed):
    buffer, slow = Buffer(size, generator(seed)), generator(seed)
    kept, seen = {}, 0
    for count in batches:
        rows = torch.arange(seen, seen + count)
        buffer.offer(value=rows)
        draws = torch.rand(count, generator=slow, dtype=torch.float64)
        for row, draw in zip(rows.tolist(), draws.tolist(), strict=True):
            slot = seen if seen < size else int(draw * (seen + 1))
            if slot < size:
                kept[slot] = row
            seen += 1
    assert buffer.columns["value"][: len(buffer)].tolist() == [kept[i] for i in range(len(kept))]
    assert len(buffer) == min(size, sum(batches))


def test_every_row_offered_is_kept_equally_often():
    counts = torch.zeros(40)
    source = generator(1)
    for _ in range(3000):
        buffer = Buffer(10, source)
        for start in range(0, 40, 8):
            buffer.offer(value=torch.arange(start, start + 8))
        counts[buffer.columns["value"]] += 1
    expected = 3000 * 10 / 40
    chi2 = ((counts - expected) ** 2 / expected).sum().item()
    assert chi2 < 80  # 39 degrees of freedom: the 0.01 % point is 79.5


def test_a_draw_has_distinct_rows_and_all_columns_agree():
    buffer = Buffer(20, generator())
    buffer.offer(images=torch.arange(60).view(20, 3), labels=torch.arange(20))
    drawn = buffer.draw(8)
    assert len(set(drawn.labels.tolist())) == 8
    assert torch.equal(drawn.images[:, 0] // 3, drawn.labels)


@pytest.mark.parametrize(("held", "count"), [(10, 8), (70, 8), (40, 3)])
def test_every_row_is_drawn_equally_often(held, count):
    buffer = Buffer(held, generator(2))
    buffer.offer(value=torch.arange(held))
    seen, draws = torch.zeros(held), 4000
    for _ in range(draws):
        rows = buffer.draw(count).value
        assert len(set(rows.tolist())) == count
        seen[rows] += 1
    share = count / held
    spread = (draws * share * (1 - share)) ** 0.5
    assert (seen - draws * share).abs().max() < 4.5 * spread


def test_a_draw_takes_fewer_while_the_buffer_fills():
    buffer = Buffer(20, generator())
    buffer.offer(labels=torch.arange(5))
    assert sorted(buffer.draw(8).labels.tolist()) == [0, 1, 2, 3, 4]


def test_a_buffer_loaded_from_its_state_keeps_the_same_rows():
    buffer, other = Buffer(6, generator(3)), Buffer(6, generator(8))
    buffer.offer(value=torch.arange(9))
    other.load_state_dict(buffer.state_dict())
    other.generator.set_state(buffer.generator.get_state())
    for each in (buffer, other):
        each.offer(value=torch.arange(9, 20))
    assert torch.equal(buffer.columns["value"], other.columns["value"])


def test_columns_of_different_lengths_are_refused():
    given = {"images": 3, "labels": 2}
    with refused("rows", given=given, allowed="as many values in each column"):
        Buffer(4, generator()).offer(images=torch.zeros(3, 2), labels=torch.zeros(2))


def test_admission_falls_exponentially_with_the_teachers_share():
    assert admission_probability(0) == 1
    assert admission_probability(0.5) == pytest.approx(math.exp(-0.375))
    assert admission_probability(0.5, 0) == 1


def test_shares_of_the_tasks_in_the_buffer_follow_admission():
    """On S-CIFAR-10 with the largest teacher: 26, 25, 20, 15 and 13 percent."""
    shares = [0, 0.075, 0.353, 0.709, 0.95]  # about the student's share before each task
    weights = [admission_probability(share) for share in shares]
    percent = [100 * weight / sum(weights) for weight in weights]
    assert percent == pytest.approx([26, 25, 20, 15, 13], abs=1.1)


def test_chance_matches_its_probability_and_0_and_1_draw_no_random_number():
    source = generator()
    before = source.get_state()
    assert chance(1, source)
    assert not chance(0, source)
    assert torch.equal(source.get_state(), before)
    hits = sum(chance(0.25, source) for _ in range(4000))
    assert abs(hits - 1000) < 140  # five standard deviations


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(1, 12), st.integers(0, 9))
def test_a_balanced_buffer_replaces_only_rows_of_its_largest_class(labels, size, seed):
    buffer, before = Balanced(size, generator(seed)), None
    for label in labels:
        buffer.offer(labels=torch.tensor([label]))
        counts = buffer.columns["labels"][: len(buffer)].bincount(minlength=4)
        if before is not None and (lost := (counts < before).nonzero().flatten()).numel():
            assert before[lost].item() == before.max()
        before = counts
    assert len(buffer) == min(size, len(labels))


@given(st.lists(st.integers(1, 60), min_size=2, max_size=5), st.integers(5, 40), st.integers(0, 9))
def test_a_balanced_buffer_keeps_rare_classes_whole_and_others_equally_large(offered, size, seed):
    buffer, source = Balanced(size, generator(seed)), generator(seed)
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(offered)])
    for part in labels[torch.randperm(len(labels), generator=source)].split(7):
        buffer.offer(labels=part)
    kept = buffer.held["labels"].bincount(minlength=len(offered)).tolist()
    most = max(kept)
    for size_of_class, count in zip(kept, offered, strict=True):
        # Rare classes lose no row. The sizes of the others differ by one at most.
        assert size_of_class == count or size_of_class >= most - 1


def test_within_a_class_a_balanced_buffer_is_a_reservoir():
    source, early = generator(5), 0
    for _ in range(300):
        buffer = Balanced(10, source)
        for start in range(0, 100, 10):
            numbers = torch.arange(start, start + 10)
            buffer.offer(labels=numbers % 2, numbers=numbers)
        early += int((buffer.columns["numbers"] < 50).sum())
    assert abs(early - 1500) < 150  # half of the rows kept were offered in the first half


def test_a_balanced_buffer_loaded_from_its_state_keeps_the_same_rows():
    whole, parted = (Balanced(8, generator(3)) for _ in range(2))
    batches = [torch.randint(0, 4, (6,), generator=generator(n)) for n in range(12)]
    for labels in batches:
        whole.offer(labels=labels)
    for place, labels in enumerate(batches):
        if place == 6:
            again = Balanced(8, generator(0))
            again.generator.set_state(parted.generator.get_state())
            again.load_state_dict(parted.state_dict())
            parted = again
        parted.offer(labels=labels)
    assert torch.equal(whole.columns["labels"], parted.columns["labels"])


def test_a_loss_aware_buffer_accepts_rows_like_reservoir_sampling():
    source, late = generator(5), 0
    for _ in range(400):
        buffer = LossAware(10, source)
        for label in (0, 1):
            labels = torch.full((10,), label)
            buffer.offer(labels=labels, losses=torch.ones(10))
        late += int(buffer.columns["labels"].sum())
    expected = sum(10 / seen for seen in range(11, 21))  # fewer, because a 1 may replace a 1
    assert 0.7 * expected < late / 400 < expected


def test_rows_of_large_classes_and_small_losses_have_the_largest_weight():
    buffer = LossAware(6, generator())
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    buffer.offer(labels=labels, losses=torch.tensor([0.1, 2.0, 2.0, 2.0, 2.0, 2.0]))
    weights = buffer.weights()
    assert weights.argmax() == 0
    assert weights[1] > weights[4]
    assert (weights.min(), weights.max()) == (0, 1)
    buffer.refresh(torch.tensor([0]), torch.tensor([9.0]))
    assert buffer.weights()[:4].argmin() == 0


def test_an_image_held_already_is_updated_in_place():
    buffer = Balanced(20, generator())
    images = torch.arange(30 * 12).view(30, 3, 2, 2).to(torch.uint8)
    labels = torch.arange(30) % 3
    for epoch in range(4):
        logits = torch.full((30, 3), float(epoch))
        for rows in torch.arange(30).split(7):
            buffer.offer(images=images[rows], labels=labels[rows], logits=logits[rows])
    held = buffer.held["images"].flatten(1).unique(dim=0)
    assert len(held) == len(buffer) == 20
    before = buffer.state_dict()
    again = Balanced(20, generator())
    again.load_state_dict(before)
    seen = dict(again.seen)
    again.offer(
        images=buffer.held["images"][:5], labels=torch.tensor([7] * 5), logits=torch.ones(5, 3)
    )
    assert again.held["labels"][:5].tolist() == [7] * 5  # a corrected label
    assert again.seen == seen


def test_repeated_images_do_not_replace_others():
    buffer = Balanced(10, generator())
    images = torch.arange(9 * 4, dtype=torch.uint8).view(9, 1, 2, 2)
    for _ in range(5):
        buffer.offer(images=images, labels=torch.tensor([0] * 8 + [1]))
    assert torch.equal(buffer.held["images"], images)


def test_rows_that_are_dropped_leave_no_trace_and_their_slots_are_filled_again():
    for buffer in (Buffer(10, generator()), Balanced(10, generator()), LossAware(10, generator())):
        images = torch.arange(1, 41, dtype=torch.uint8).view(40, 1, 1, 1)
        rows = {"images": images, "labels": torch.arange(40) % 2, "losses": torch.ones(40)}
        buffer.offer(**{name: column[:20] for name, column in rows.items()})
        gone = buffer.held["images"][::2].flatten().tolist()
        rest = buffer.held["images"][1::2].flatten().tolist()
        buffer.keep(torch.arange(10) % 2 == 1)
        assert buffer.held["images"].flatten().tolist() == rest
        assert not set(gone) & set(buffer.columns["images"].flatten().tolist())
        state = buffer.state_dict()
        buffer.load_state_dict(state)
        assert len(buffer) == 5
        while len(buffer) < 10:
            before = len(buffer)
            buffer.offer(**{name: column[20:] for name, column in rows.items()})
            assert before <= len(buffer) <= 10
        assert 0 not in buffer.held["images"]


def test_after_rows_were_dropped_every_row_offered_is_kept_equally_often():
    counts, source = torch.zeros(60), generator(3)
    for _ in range(3000):
        buffer = Buffer(10, source)
        buffer.offer(value=torch.arange(40))
        buffer.keep(buffer.held["value"] >= 20)
        for start in (40, 48, 54):
            buffer.offer(value=torch.arange(start, {40: 48, 48: 54, 54: 60}[start]))
        counts[buffer.held["value"]] += 1
    assert not counts[:20].any()
    expected = counts.sum() / 40
    assert abs(counts[20:40].mean() / expected - 1) < 0.2
    assert abs(counts[40:].mean() / expected - 1) < 0.2


def test_rows_of_a_class_take_the_label_of_another():
    for buffer in (Buffer(10, generator()), Balanced(10, generator())):
        buffer.offer(labels=torch.arange(40) % 4)
        held = buffer.held["labels"].clone()
        buffer.relabel(3, 1)
        assert torch.equal(buffer.held["labels"], torch.where(held == 3, 1, held))
