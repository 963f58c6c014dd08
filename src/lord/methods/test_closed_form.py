from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import oas
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Generator

import lord
from lord.config import build
from lord.costs import FlopCount, LayerCount
from lord.data import Augment
from lord.methods import METHODS, Batch, Inputs, Progress, build_method, first_student
from lord.methods.closed_form import oas_shrinkage
from lord.methods.optim import OptimizerConfig
from lord.methods.sums import Sums
from lord.networks import NetworkConfig
from lord.streams import Task

SHAPE, CLASSES = (1, 4, 4), 4
HEADS = ("ncm", "slda", "ranpac")


def head(name, classes=CLASSES, **values):
    """Return an untrained head over pixels."""
    values |= {"projection": 24} if name == "ranpac" else {}
    config = build(METHODS[name].method.Config, values)
    inputs = Inputs(SHAPE)
    network = first_student(name, config, NetworkConfig(), inputs, classes, 0)
    augment = Augment((0.5,), (0.3,), crop=0, flip=False, generator=Generator())
    return build_method(
        name,
        config,
        network=network,
        inputs=inputs,
        augment=augment,
        optimizer=OptimizerConfig(),
        classes=classes,
        tasks=2,
        epochs=1,
        batch=8,
        generator=Generator().manual_seed(1),
    )


def images_of(count, seed=0, classes=CLASSES):
    """Return images that differ by class, and their labels."""
    generator = Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    noise = torch.randint(0, 200, (count, *SHAPE), generator=generator)
    noise[torch.arange(count), 0, labels // 4, labels % 4] += 55
    return noise.to(torch.uint8), labels


def taught(method, *sessions):
    for images, labels in sessions:
        method.learn(images, labels)
    method.solve()
    return method


def weights(method):
    """Return the head, without the temperature's effect."""
    weight = torch.cat([method.head.weight, method.head.bias[:, None]], 1).double()
    return weight / weight.norm()


@pytest.mark.parametrize("name", HEADS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 199), max_size=4), data=st.data())
def test_sessions_in_any_order_give_the_head_of_one_session(name, seed, cuts, data):
    images, labels = images_of(200, seed)
    bounds = [0, *sorted(set(cuts)), 200]
    parts = [(images[a:b], labels[a:b]) for a, b in pairwise(bounds)]
    whole = taught(head(name), (images, labels))
    split = taught(head(name), *data.draw(st.permutations(parts)))
    assert torch.allclose(weights(whole), weights(split), rtol=0, atol=1e-6)
    assert torch.allclose(whole.predict(images), split.predict(images), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", HEADS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), gone=st.integers(1, 150))
def test_a_session_subtracted_leaves_the_sums_without_it(name, seed, gone):
    images, labels = images_of(200, seed)
    method = taught(head(name), (images, labels))
    method.learn(images[:gone], labels[:gone], sign=-1)
    method.solve()
    without = taught(head(name), (images[gone:], labels[gone:]))
    for got, wanted in zip(vars(method.sums).values(), vars(without.sums).values(), strict=True):
        assert torch.allclose(got, wanted, rtol=1e-6, atol=1e-4)  # features are float32
    for candidate in method.CANDIDATES:  # the one chosen depends on the images kept
        heads = (each.fit(each.sums, candidate) for each in (method, without))
        for got, wanted in zip(*heads, strict=True):
            assert torch.allclose(got, wanted, rtol=1e-6, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(2, 40), width=st.integers(2, 8))
def test_shrinkage_is_that_of_scikit_learn(seed, rows, width):
    x = np.random.default_rng(seed).normal(size=(rows, width)) * np.arange(1, width + 1)
    expected = oas(x, assume_centered=True)[1]
    assert oas_shrinkage(torch.from_numpy(x.T @ x / rows), rows) == pytest.approx(expected)


def test_slda_is_scikit_learns_discriminant_analysis():
    images, labels = images_of(300)
    method = taught(head("slda"), (images, labels))
    x = method.features(images).double().numpy()
    centred = x - method.sums.means()[labels].numpy()
    lda = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=oas(centred, assume_centered=True)[1], priors=[1 / CLASSES] * 4
    )
    # scikit-learn shrinks standardised features, so both get standardised ones.
    deviation = centred.std(0)
    method.sums.scatter /= torch.from_numpy(np.outer(deviation, deviation))
    method.sums.totals /= torch.from_numpy(deviation)
    weight, bias = method.fit(method.sums, 0.0)
    centred = centred / deviation
    lda.shrinkage = oas(centred, assume_centered=True)[1]
    lda.fit(x / deviation, labels.numpy())
    ours = torch.from_numpy(x / deviation) @ weight.T + bias
    theirs = torch.from_numpy(lda.decision_function(x / deviation))
    assert torch.allclose(ours.log_softmax(1), theirs.log_softmax(1), atol=0.05)
    assert (ours.argmax(1) == theirs.argmax(1)).double().mean() > 0.99


@pytest.mark.parametrize("name", HEADS)
def test_every_image_of_a_task_is_added_once_whatever_the_epochs(name):
    images, labels = images_of(17)  # a last batch of one image is left out of an epoch
    task, method = Task(0, (0, 1, 2, 3), images, labels), head(name)
    method.begin_task(task)
    for rows in (torch.arange(8), torch.arange(8, 16), torch.arange(8)):
        method.step(Batch(images[rows], labels[rows], rows), Progress(0, 3))
    method.end_task(task)
    assert method.sums.counts.sum() == 17


@pytest.mark.parametrize("name", HEADS)
def test_the_only_image_of_a_task_is_added_once_although_its_batch_repeats_it(name):
    images, labels = images_of(1)
    method, rows = head(name), torch.zeros(2, dtype=torch.long)
    method.begin_task(task := Task(0, (0, 1, 2, 3), images, labels))
    method.step(Batch(images[rows], labels[rows], rows), Progress(0, 1))
    method.end_task(task)
    assert method.sums.counts.sum() == 1
    method.learn(images, labels, sign=-1)
    assert not method.sums.totals.any()


def test_a_task_ends_after_one_pass_whatever_the_epochs():
    once, more = (lord.run(lord.compose("ncm", {"subset": 0.1, "epochs": n})) for n in (1, 3))
    assert once.steps == more.steps
    assert once.matrices == more.matrices


@pytest.mark.parametrize("name", HEADS)
def test_a_class_that_comes_later_leaves_the_sums_of_the_others(name):
    images, labels = images_of(100, classes=2)
    few = taught(head(name, classes=2), (images, labels))
    more = head(name)
    more.load_state_dict(few.state_dict())
    assert torch.allclose(few.predict(images), more.predict(images)[:, :2], atol=1e-4)
    assert (more.predict(images).argmax(1) < 2).all()


def test_choices_are_made_on_the_same_images_in_any_order():
    images, labels = images_of(400)
    order = torch.randperm(400, generator=Generator().manual_seed(5))
    one = taught(head("slda", kept=3), (images, labels))
    two = taught(head("slda", kept=3), (images[order], labels[order]))
    assert one.kept["keys"].tolist() != []
    assert sorted(one.kept["keys"].tolist()) == sorted(two.kept["keys"].tolist())
    assert one.kept["labels"].bincount().max() <= 3
    assert torch.equal(one.is_kept(images[order]), two.is_kept(images[order]))


def test_adding_an_image_costs_its_outer_product():
    with LayerCount() as count:
        head("slda").learn(*images_of(8))
    assert count.total == 2 * 8 * 16**2
    with LayerCount() as count:
        head("ranpac").learn(*images_of(8))
    assert count.total == 2 * 8 * (16 * 24 + 24**2)


def test_solving_costs_a_factorisation_for_each_choice_and_the_images_kept():
    method = head("slda")
    method.learn(*images_of(400))
    kept, width = len(method.kept["labels"]), 16
    assert kept
    with FlopCount() as count:
        method.solve()
    factor, solved = width**3 / 3, 2 * CLASSES * width**2
    fits = 1 + len(method.CANDIDATES)
    choices = 2 * kept * width**2 + (fits - 1) * 2 * kept * width * CLASSES
    # The covariance within classes costs as much as solving.
    assert count.total == pytest.approx(fits * (factor + 2 * solved) + choices, rel=0.05)


def test_a_class_without_images_is_never_predicted_however_far_an_image_is():
    generator = Generator().manual_seed(0)
    base = torch.tensor([20, 120, 220], dtype=torch.uint8).repeat_interleave(3).view(9, 1, 1, 1)
    images = base.repeat(1, *SHAPE) + torch.randint(0, 2, (9, *SHAPE), generator=generator).byte()
    labels = torch.arange(3).repeat_interleave(3)
    method = taught(head("slda", classes=3), (images, labels))
    method.learn(images[6:], labels[6:], sign=-1)
    others = torch.randint(0, 256, (50, *SHAPE), generator=generator).byte()
    logits = method.predict(others)
    assert logits[:, :2].min() < -1e4
    assert (logits.argmax(1) < 2).all()


def test_memory_does_not_grow_with_sessions():
    method = head("slda", kept=2)
    sizes = []
    for seed in range(30):
        method.learn(*images_of(40, seed))
        sizes.append(sum(t.nbytes for t in (*vars(method.sums).values(), *method.kept.values())))
    assert sizes[-1] == sizes[14]


@given(st.integers(0, 1000))
def test_one_image_a_class_is_classified_by_the_nearest_mean(seed):
    features = torch.randn(3, 40, generator=torch.Generator().manual_seed(seed))
    sums = Sums(classes=3, width=40)
    sums.add(features, torch.arange(3))
    sums = sums.without(features[:1], torch.arange(1))  # what is left can be negative by rounding
    weight, bias = head("slda").fit(sums, 0.0)
    assert (features.double() @ weight.T + bias)[1:, 1:].argmax(1).tolist() == [0, 1]
