"""Scales of held-out normals: units, smoothing and refusals."""

from __future__ import annotations

import math

import pytest
import torch

from vae_anomaly.detectors.images.networks.residuals import (
    Decorrelation,
    MapScale,
    ResidualScale,
    Standardiser,
    energy_map,
)
from vae_anomaly.errors import NotEnoughDataError


@pytest.fixture
def maps() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    spread = torch.linspace(1.0, 3.0, 12)[None, None, None, :]
    return 5.0 + spread * torch.randn(200, 2, 12, 12, generator=generator)


def test_standardised_normals_have_mean_0_and_sd_1(maps):
    z = Standardiser.fit(maps)(maps)
    assert float(z.mean()) == pytest.approx(0.0, abs=1e-3)
    assert float(z.std()) == pytest.approx(1.0, abs=0.02)


def test_residuals_come_out_in_units_of_their_place(maps):
    rest = maps - 5.0
    z = ResidualScale.fit(rest)(rest)
    by_column = z.square().mean((0, 1, 2)).sqrt()
    torch.testing.assert_close(by_column, torch.ones(12), rtol=0, atol=0.08)


def test_variance_is_smoothed_over_neighbours(maps):
    maps[:, :, 5, 5] = 0.0  # one dead cell must not become infinitely sensitive
    scale = ResidualScale.fit(maps - 5.0)
    assert float(scale.spread[:, 5, 5].min()) > 0.8


def test_held_out_maps_have_mean_0_and_sd_1(maps):
    scaled = MapScale.fit(maps[:, 0])(maps[:, 0])
    assert float(scaled.mean()) == pytest.approx(0.0, abs=1e-4)
    assert float(scaled.std()) == pytest.approx(1.0, abs=1e-4)


def test_energy_map_of_even_residuals_is_known():
    none, one = (torch.full((1, 2, 4, 4), value) for value in (0.0, 1.0))
    expected = math.log(0.1) + 0.7 * math.log(0.02), math.log(1.1) + 0.7 * math.log(1.02)
    found = [energy_map(maps) for maps in (none, one)]
    for got, value in zip(found, expected, strict=True):
        torch.testing.assert_close(got, torch.full((1, 4, 4), value))


def test_residuals_that_agree_with_their_neighbours_are_hotter():
    broad = torch.ones(1, 2, 8, 8)
    chequered = broad.clone()
    chequered[..., ::2, ::2] *= -1.0
    chequered[..., 1::2, 1::2] *= -1.0
    assert float((energy_map(broad) - energy_map(chequered)).min()) > 1.0


def test_decorrelated_channels_weigh_news_more_than_what_always_comes_together(rng):
    common = torch.from_numpy(rng.normal(size=(50, 1, 8, 8))).float()
    own = torch.from_numpy(rng.normal(size=(50, 4, 8, 8))).float()
    z = 0.95 * common + (1.0 - 0.95**2) ** 0.5 * own
    mixed = Decorrelation.fit(z)
    assert float(mixed(z).square().mean()) == pytest.approx(float(z.square().mean()), rel=1e-3)
    usual = torch.ones(1, 4, 8, 8)
    news = usual * torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None, None]  # of the same energy
    assert float(mixed(news).square().mean()) > 4 * float(mixed(usual).square().mean())


@pytest.mark.parametrize("scale", [Standardiser, ResidualScale, MapScale, Decorrelation])
def test_no_images_are_refused(scale, maps):
    with pytest.raises(NotEnoughDataError):
        scale.fit(maps[:0])
