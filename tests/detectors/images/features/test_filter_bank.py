"""The filter bank: known responses, exact folding, and what exposure may and may not change."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vae_anomaly.detectors.images.features.filter_bank import (
    FilterBank,
    dihedral_maps,
)
from vae_anomaly.detectors.images.features.octaves import luminance, octave_kernels
from vae_anomaly.detectors.images.features.smoothing import blur, gaussian_kernel
from vae_anomaly.errors import ConfigError

SIZE = 64


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def direct_energy(image: torch.Tensor, cell: int) -> torch.Tensor:
    """The nine energies without any folding: convolve, square, average over cells."""
    padded = functional.pad(image, (4,) * 4, mode="replicate")
    response = functional.conv2d(padded, octave_kernels()[:, None])
    return functional.avg_pool2d(response.square(), cell)


def test_folded_convolution_equals_direct_convolution(images):
    bank = FilterBank(SIZE)
    log = torch.log(images + bank.offset)
    octaves = [log, functional.avg_pool2d(log, 2), functional.avg_pool2d(log, 4)]
    direct = torch.cat([direct_energy(o, c) for o, c in zip(octaves, (8, 4, 2), strict=True)], 1)
    expected = 0.5 * torch.log(blur(direct, 0.5) + bank.epsilon)
    torch.testing.assert_close(bank(images).maps[:, :9], expected, rtol=0, atol=2e-5)


def test_kernels_do_not_see_constant_brightness_and_measure_slopes():
    dx, dy, dog = octave_kernels()
    x = torch.arange(-4.0, 5.0)
    for kernel in (dx, dy, dog):
        assert abs(float(kernel.sum())) < 1e-6
    assert float((dx * x[None, :]).sum()) == pytest.approx(0.8, abs=0.01)  # slope 1 times sigma
    assert float((dy * x[:, None]).sum()) == pytest.approx(0.8, abs=0.01)
    assert abs(float((dx * x[:, None]).sum())) < 1e-6
    assert float(dog[4, 4]) > 0


def test_vertical_stripes_light_up_dx_and_not_dy():
    stripes = torch.zeros(1, 1, SIZE, SIZE)
    stripes[..., ::4] = 1.0
    stripes[..., 1::4] = 1.0
    maps = FilterBank(SIZE)(stripes).maps
    assert float((maps[:, 0] - maps[:, 1]).min()) > 2.0


def test_energy_of_a_grating_matches_its_analytic_value():
    wave = 0.05 * torch.sin(2 * torch.pi * torch.arange(SIZE) / 8.0)
    image = torch.exp(wave).expand(1, 1, SIZE, SIZE) * 0.5 - 0.05
    gain = (
        octave_kernels()[0].sum(0) * torch.sin(2 * torch.pi * torch.arange(-4.0, 5.0) / 8.0)
    ).sum()
    expected = 0.5 * torch.log((0.05 * gain) ** 2 / 2 + 1e-5)
    centre = FilterBank(SIZE)(image).maps[0, 0, 3:5, 3:5]
    torch.testing.assert_close(centre, expected.expand(2, 2), rtol=0, atol=0.01)


def test_exposure_changes_statistics_and_hardly_the_maps(images):
    bright, dark = 0.3 + 0.5 * images, (0.35 + 0.5 * images) * 0.6 - 0.05
    bank = FilterBank(SIZE)
    a, b = bank(bright), bank(dark)
    torch.testing.assert_close(a.maps, b.maps, rtol=0, atol=1e-3)
    change = b.statistics[:, 0] - a.statistics[:, 0]
    torch.testing.assert_close(change, torch.full((3,), 0.6).log(), rtol=0, atol=1e-4)


def test_a_tint_of_equal_luminance_shows_in_chroma_only():
    grey = torch.full((1, 3, SIZE, SIZE), 0.5)
    tinted = grey.clone()
    tinted[:, 0] += 0.1
    tinted[:, 1] -= 0.1 * 0.299 / 0.587
    torch.testing.assert_close(luminance(grey), luminance(tinted))
    bank = FilterBank(SIZE, 3)
    a, b = bank(grey).maps, bank(tinted).maps
    torch.testing.assert_close(a[:, :13], b[:, :13], rtol=0, atol=1e-3)
    assert float((b[:, 13] - a[:, 13]).min()) > 0.2
    assert bank(grey).statistics.shape == (1, bank.n_statistics)


@pytest.mark.parametrize("mirror", [False, True], ids=["turned", "mirrored"])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_turning_the_maps_equals_turning_the_image(turns, mirror, channels):
    image = torch.rand(2, channels, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    bank = FilterBank(SIZE, channels)
    turned = torch.rot90(image.flip(3) if mirror else image, turns, (2, 3))
    expected = bank(turned).maps
    found = dihedral_maps(bank(image).maps, turns, mirror=mirror)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_maps_of_a_image_do_not_depend_on_its_batch(images):
    bank = FilterBank(SIZE)
    torch.testing.assert_close(bank(images).maps[1:2], bank(images[1:2]).maps, rtol=0, atol=1e-5)


def test_a_black_and_a_flat_image_give_finite_maps():
    bank = FilterBank(SIZE)
    for value in (0.0, 1.0):
        assert torch.isfinite(bank(torch.full((1, 1, SIZE, SIZE), value)).maps).all()


def test_image_of_its_own_maps_is_the_coarse_image(images):
    bank = FilterBank(SIZE)
    smooth = blur(images, 4.0)
    coarse = torch.exp(functional.avg_pool2d(torch.log(smooth + 0.05), 4)) - 0.05
    torch.testing.assert_close(
        bank.coarse_image(smooth, bank(smooth).maps), coarse, rtol=0, atol=1e-4
    )


def test_gaussian_kernel_sums_to_one_and_blur_keeps_a_constant():
    assert float(gaussian_kernel(1.3).sum()) == pytest.approx(1.0)
    flat = torch.full((1, 2, 9, 9), 3.0)
    torch.testing.assert_close(blur(flat, 2.0), flat)


@pytest.mark.parametrize(("size", "channels"), [(60, 1), (100, 1), (32, 1), (64, 2)])
def test_impossible_inputs_are_refused(size, channels):
    with pytest.raises(ConfigError):
        FilterBank(size, channels)


def test_chroma_is_the_mean_difference_of_logarithms_in_each_cell():
    images = torch.rand(2, 3, 64, 80)[:, :, :, :64]
    images[0, :, :8, :8] = 0.0
    log = torch.log(images.double() + 0.05)
    exact = torch.nn.functional.avg_pool2d(log[:, [0, 2]] - log[:, [1]], 8)
    chroma = FilterBank(64, 3)(images).maps[:, 13:]
    torch.testing.assert_close(chroma.double(), exact, rtol=0, atol=2e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_alone_are_those_beside_the_maps(channels):
    images = torch.rand(3, channels, 64, 64, generator=torch.Generator().manual_seed(0))
    bank = FilterBank(64, channels)
    torch.testing.assert_close(bank.statistics(bank.octaves(images)), bank(images).statistics)
