import torch
from hypothesis import given
from hypothesis import strategies as st

from lord.data import Augment, measure_normalisation

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)


def images(count, height, width):
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


@given(st.integers(4, 12), st.integers(4, 12), st.integers(0, 4), st.booleans(), st.integers(0, 99))
def test_augmenting_a_batch_equals_augmenting_each_image(height, width, crop, flip, seed):
    x = images(5, height, width)
    augment = Augment(
        MEAN, STD, crop=crop, flip=flip, generator=torch.Generator().manual_seed(seed)
    )
    got = augment(x)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    padded = torch.nn.functional.pad(x, (crop,) * 4)
    for image, result in zip(padded, got, strict=True):
        candidates = []
        for top in range(2 * crop + 1):
            for left in range(2 * crop + 1):
                part = image[:, top : top + height, left : left + width]
                candidates += [part, part.flip(2)] if flip else [part]
        assert any(torch.allclose(result, (c / 255 - mean) / std, atol=1e-5) for c in candidates)


def test_every_crop_and_both_directions_occur_about_equally():
    x = torch.arange(25, dtype=torch.uint8).reshape(1, 1, 5, 5).expand(18_000, 1, 5, 5)
    augment = Augment((0.0,), (1.0,), crop=1, flip=True, generator=torch.Generator().manual_seed(0))
    kinds, counts = (255 * augment(x)).round().flatten(1).unique(dim=0, return_counts=True)
    assert len(kinds) == 18
    assert (counts - 1000).abs().max() < 150  # five standard deviations


def test_augmentation_depends_on_its_generator_only():
    x = images(16, 8, 8)

    def once():
        torch.rand(3)  # the global generator has no effect
        return Augment(MEAN, STD, crop=2, flip=True, generator=torch.Generator().manual_seed(7))(x)

    assert torch.equal(once(), once())


def test_results_are_channels_last_and_inputs_are_unchanged():
    x = images(4, 8, 8)
    before = x.clone()
    y = Augment(MEAN, STD, crop=2, flip=True, generator=torch.Generator())(x)
    assert torch.equal(x, before)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_measured_normalisation_gives_mean_0_and_deviation_1():
    x = images(50, 8, 8)
    mean, std = measure_normalisation(x)
    y = Augment(mean, std, crop=0, flip=False, generator=torch.Generator())(x)
    assert torch.allclose(y.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(y.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4)
