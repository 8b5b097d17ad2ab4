from __future__ import annotations

import pytest
import torch

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.noise import Chain, GaussianNoise, MaskingNoise, SwapNoise

ALL = [
    GaussianNoise(0.3),
    MaskingNoise(0.2, value=-9.0),
    SwapNoise(0.2),
    Chain((SwapNoise(0.1), GaussianNoise(0.1))),
]
each = pytest.mark.parametrize("noise", ALL, ids=lambda noise: type(noise).__name__)


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch() -> torch.Tensor:
    return torch.randn(2000, 5, generator=gen(1)) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])


@each
def test_corruption_changes_a_copy_and_repeats_with_its_generator(noise):
    x = batch()
    before = x.clone()
    noisy = noise(x, gen())
    assert torch.equal(x, before)
    assert noisy.shape == x.shape
    assert not torch.equal(noisy, x)
    assert torch.equal(noisy, noise(x, gen()))


def test_gaussian_noise_has_the_standard_deviation_asked_for():
    x = batch()
    assert float((GaussianNoise(0.3)(x, gen()) - x).std()) == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("noise", [MaskingNoise(0.2, -9.0), SwapNoise(0.2)], ids=["mask", "swap"])
def test_the_share_asked_for_is_replaced(noise):
    x = batch()
    assert float((noise(x, gen()) != x).float().mean()) == pytest.approx(0.2, abs=0.02)


def test_masked_cells_hold_the_value():
    x = batch()
    noisy = MaskingNoise(0.2, -9.0)(x, gen())
    assert set(noisy[noisy != x].tolist()) == {-9.0}


def test_swapped_cells_come_from_the_same_column():
    x = batch()
    noisy = SwapNoise(0.5)(x, gen())
    for column in range(5):
        assert set(noisy[:, column].tolist()) <= set(x[:, column].tolist())


@pytest.mark.parametrize(
    "make",
    [lambda: GaussianNoise(-0.1), lambda: MaskingNoise(1.5), lambda: SwapNoise(-1)],
    ids=["gaussian", "mask", "swap"],
)
def test_an_impossible_amount_is_refused(make):
    with pytest.raises(ConfigError, match=r"must be .*Got -?[01]"):
        make()
