"""Fine detail: a spot of a few pixels is found, named, and judged by its own material."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from vae_anomaly.detectors.images.features.octaves import (
    OctaveFilters,
    halved,
    octave_kernels,
)
from vae_anomaly.detectors.images.fine.channels import LINES, SPOTS, TINTS, channel_words
from vae_anomaly.detectors.images.fine.filters import FineFilters, FineMaps, line_kernels
from vae_anomaly.detectors.images.fine.level import FineFit, FineLevel
from vae_anomaly.detectors.images.fine.materials import Materials

SIZE = 64
SEEN = OctaveFilters()


def noisy(n: int, channels: int = 1, level: float = 0.5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, channels, SIZE, SIZE, generator=generator)
    return (level + 0.02 * noise).clamp(0.0, 1.0)


def fitted(images: torch.Tensor) -> tuple[FineLevel, np.ndarray]:
    filters = FineFilters(SIZE, images.shape[1])
    fit = FineFit.of(filters, filters(SEEN(images)), np.arange(len(images)) % 5)
    return fit.level, fit.peaks


def test_extremes_are_those_of_the_filters_without_any_folding():
    images = noisy(2)
    log = torch.log(images + 0.05)
    seen = FineFilters(SIZE, 1)(SEEN(images)).extremes
    spot = functional.conv2d(
        functional.pad(log, (4,) * 4, mode="replicate"), octave_kernels()[2:, None]
    )
    line = functional.conv2d(
        functional.pad(halved(log), (7,) * 4, mode="replicate"), line_kernels()[:, None]
    )
    assert torch.allclose(seen[:, :1], functional.max_pool2d(spot, 8), atol=1e-5)
    assert torch.allclose(seen[:, 1:2], functional.max_pool2d(-spot, 8), atol=1e-5)
    assert torch.allclose(seen[:, 6:14], functional.max_pool2d(line, 4), atol=1e-5)
    assert torch.allclose(seen[:, LINES][:, 8:], functional.max_pool2d(-line, 4), atol=1e-5)


def test_a_brighter_lamp_changes_nothing_but_what_the_offset_leaves():
    images = noisy(1)
    filters = FineFilters(SIZE, 1)
    change = filters(SEEN(1.5 * images)).extremes - filters(SEEN(images)).extremes
    assert change.abs().max() < 0.02


@pytest.mark.parametrize(
    ("draw", "channels", "words"),
    [
        (lambda x: x[:, :, 20:23, 40:43].mul_(0.3), SPOTS, "a dark spot"),
        (lambda x: x[:, :, 20:23, 40:43].mul_(1.8), SPOTS, "a bright spot"),
        (lambda x: x[:, :, 20:22, 30:50].mul_(0.7), LINES, "a thin dark line"),
        (lambda x: x[:, 2, 16:32, 32:48].mul_(0.8), TINTS, "a place yellower than the rest"),
    ],
    ids=["dark spot", "bright spot", "dark line", "stain"],
)
def test_a_small_defect_is_the_highest_peak_and_is_named(draw, channels, words):
    level, usual = fitted(noisy(40, 3))
    image = noisy(1, 3, seed=9)
    draw(image)
    peaks = level(SEEN(image))
    beyond = peaks.height[0] - torch.from_numpy(usual.max(axis=0))
    best = int(beyond.argmax())
    assert channels.start <= best < channels.stop
    assert beyond[best] > 1.0
    assert channel_words(best, 1.0).startswith(words)
    row, column = divmod(int(peaks.cell[0, best]), SIZE // 8)
    assert abs(row - 2.5) <= 1.5
    assert abs(column - 5) <= 1.5


def test_peaks_of_training_images_are_like_those_of_new_ones():
    level, peaks = fitted(noisy(60))
    new = level(SEEN(noisy(200, seed=5))).height.double().numpy()
    assert abs(np.median(peaks) - np.median(new)) < 0.15
    assert abs(np.quantile(peaks, 0.95) - np.quantile(new, 0.95)) < 0.5


def test_two_materials_are_told_apart_and_judged_apart():
    smooth, rough = noisy(50), noisy(50, seed=1)
    rough[:, :, ::8, :] *= 0.5
    level, _ = fitted(torch.cat((smooth, rough)))
    assert len(level.materials) == 2
    spoilt = noisy(1, seed=7)
    spoilt[:, :, 32, :] *= 0.5  # a thread of the rough material is a scratch on the smooth one
    fresh = noisy(1, seed=8)
    fresh[:, :, ::8, :] *= 0.5
    assert (
        level(SEEN(spoilt)).height[0, LINES].max() > 2 * level(SEEN(fresh)).height[0, LINES].max()
    )


def test_few_images_are_one_material():
    generator = torch.Generator().manual_seed(0)
    looks = torch.cat((torch.randn(20, 32, generator=generator), torch.full((20, 32), 9.0)))
    assert len(Materials.fit(looks)) == 1


def test_a_set_without_any_variation_does_not_make_a_grey_level_an_event():
    still = torch.full((20, 1, SIZE, SIZE), 0.5)
    level, _ = fitted(still)
    changed = still[:1].clone()
    changed[:, :, 30, 30] += 1 / 255
    assert level(SEEN(changed)).height.max() < 3.0


def test_maps_of_batches_are_joined_in_order():
    filters, images = FineFilters(SIZE, 1), noisy(6)
    parts = FineMaps.joined([filters(SEEN(images[:4])), filters(SEEN(images[4:]))])
    assert torch.allclose(parts.extremes, filters(SEEN(images)).extremes, atol=1e-5)
    assert torch.allclose(parts.looks, filters(SEEN(images)).looks, atol=1e-5)
