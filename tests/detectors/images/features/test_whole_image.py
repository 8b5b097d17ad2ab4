"""Whole-image numbers tell blank, half-read and inverted frames, at every size."""

from __future__ import annotations

import pytest
import torch

from vae_anomaly.detectors.images.features.filter_bank import FilterBank
from vae_anomaly.detectors.images.features.whole_image import (
    N_LAYOUT,
    STILL_UNIT,
    layout,
    still_lines,
)


@pytest.fixture
def scene(rng):
    """A dark scene with bright specks, 96 pixels."""
    image = 0.3 + 0.02 * torch.from_numpy(rng.normal(size=(1, 1, 96, 96))).float()
    image[:, :, 8::12, 8::12] = 0.9
    return image


def test_half_an_image_of_repeated_rows_is_half_still(scene):
    frozen = scene.clone()
    frozen[:, :, 48:] = frozen[:, :, 47:48]
    rows, columns = (still_lines(torch.log(frozen + 0.05)) / STILL_UNIT)[0].tolist()
    assert rows == pytest.approx(0.5, abs=0.02)
    assert columns == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_blank_frame_is_all_still(level):
    blank = torch.full((1, 1, 64, 64), level)
    assert (still_lines(blank) / STILL_UNIT).tolist() == [[1.0, 1.0]]


def test_asymmetry_has_the_other_sign_when_inverted(scene):
    bank = FilterBank(96)
    first = bank.n_first_statistics
    with torch.no_grad():
        upright, inverted = (
            bank(image).statistics[0, first : first + 2] for image in (scene, 1.0 - scene)
        )
    assert (upright < -0.02).all()
    assert (inverted > 0.02).all()


@pytest.mark.parametrize("size", [16, 18, 64])
def test_layout_is_the_mean_of_blocks_around_the_mean_at_every_size(size):
    ramp = torch.linspace(0.0, 1.0, size).expand(1, 1, size, size)
    found = layout(ramp).view(16, 16)
    assert found.sum().abs() < 1e-4
    torch.testing.assert_close(found[0], found[-1])
    torch.testing.assert_close(found[0].diff()[1:], found[0].diff()[:-1], atol=0.01, rtol=0.0)


def test_layout_does_not_depend_on_exposure(scene):
    bright, dim = (layout(torch.log(scene * share)) for share in (1.0, 0.4))
    torch.testing.assert_close(bright, dim, atol=1e-5, rtol=0.0)
    assert bright.shape == (1, N_LAYOUT)
