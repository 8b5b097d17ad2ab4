"""Pose: symmetries are found in good images alone, and training follows them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from vae_anomaly.detectors.images.features.filter_bank import FilterBank, dihedral_maps
from vae_anomaly.detectors.images.fit.linear import fit_linear_level
from vae_anomaly.detectors.images.fit.poses import (
    AS_IS,
    POSES,
    augment_maps,
    n_copies,
    symmetry_group,
)
from vae_anomaly.detectors.images.networks.residuals import energy_map

SIZE = 64


def maps_of(images: np.ndarray) -> torch.Tensor:
    tensor = torch.from_numpy(images.astype(np.float32))[:, None]
    return FilterBank(SIZE)(tensor).maps


def parts(n: int, *, turned: bool, seed: int = 0) -> np.ndarray:
    """An L-shaped part on a bright ground, one way round or any, float in [0, 1]."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        image = np.full((SIZE, SIZE), 0.8)
        image[12:52, 14:24] = 0.3
        image[42:52, 14:48] = 0.3
        image += 0.03 * ndimage.gaussian_filter(rng.normal(size=image.shape), 0.7)
        if turned:
            image = np.rot90(image, rng.integers(4))
            image = image[:, ::-1] if rng.random() < 0.5 else image
        images.append(np.clip(image, 0, 1))
    return np.stack(images)


def brushed(n: int) -> np.ndarray:
    """A texture of vertical lines: half turns and mirrors leave it as it is."""
    rng = np.random.default_rng(1)
    noise = ndimage.gaussian_filter(rng.normal(size=(n, SIZE, SIZE)), (0, 6.0, 0.6))
    return np.clip(0.5 + 0.6 * noise, 0, 1)


def fitted(images: np.ndarray, pose: str = "auto"):
    maps = maps_of(images)
    folds = np.arange(len(maps)) % 4
    return fit_linear_level(maps, maps[None], folds, pose=pose)


def test_parts_that_lie_one_way_are_found_to():
    assert fitted(parts(40, turned=False)).poses == ((0, False),)


def test_parts_that_lie_any_way_are_found_to():
    assert len(fitted(parts(80, turned=True)).poses) == 8


def test_a_brushed_texture_has_half_turns_and_mirrors_only():
    group = set(fitted(brushed(80)).poses)
    assert group == {(0, False), (2, False), (0, True), (2, True)}


@pytest.mark.parametrize(("pose", "n_poses"), [("fixed", 1), ("any", 8)])
def test_the_user_can_decide(pose, n_poses):
    assert len(fitted(parts(16, turned=True), pose).poses) == n_poses


def test_out_of_fold_residuals_have_unit_size():
    found = fitted(parts(40, turned=False), "fixed")
    assert float(found.z.square().mean()) == pytest.approx(1.0, abs=0.15)
    torch.testing.assert_close(found.spoiled[0], found.z)


def test_only_a_whole_group_is_taken():
    scores = np.tile(np.linspace(0, 1, 200), (8, 1))
    scores[[2, 6]] += 5.0  # the half turn and its mirror image are noticed
    group = symmetry_group(scores)
    assert set(group) == {(0, False), (0, True)}
    scores[1:] += 5.0
    assert symmetry_group(scores) == ((0, False),)


def test_copies_are_members_of_the_group_shifted_by_at_most_a_cell(rng):
    maps = maps_of(parts(3, turned=False))
    group = ((0, False), (2, False))
    found = augment_maps(maps, group, rng)
    assert len(found) == 15
    torch.testing.assert_close(found[:3], maps)
    candidates = [
        torch.roll(dihedral_maps(maps, turns, mirror=mirror), (dy, dx), (2, 3))
        for turns, mirror in group
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    ]
    for i in range(3, 15):
        assert any(torch.equal(found[i], one) for candidate in candidates for one in candidate)


def test_copies_are_a_thousand_at_most(rng):
    assert [n_copies(n) for n in (8, 250, 251, 5000)] == [32, 1000, 1000, 1000]
    maps = torch.zeros(300, 2, 4, 4)
    assert len(augment_maps(maps, AS_IS, rng)) == 1300


def shaded(n: int, side: int, seed: int) -> np.ndarray:
    """Parts that lie one way, whose ground is more or less shaded on the left (0) or right (1)."""
    images = parts(n, turned=False, seed=seed)
    depth = np.random.default_rng(seed + 1).uniform(0.0, 0.5, (n, 1, 1))
    band = slice(2, 10) if side == 0 else slice(54, 62)
    images[:, 8:56, band] *= 1.0 - depth
    return images


def heat_of(found, images: np.ndarray) -> np.ndarray:
    return energy_map(found.level(maps_of(images))).numpy().mean(axis=(1, 2))


def test_what_varies_on_one_side_may_vary_on_the_other():
    elsewhere = shaded(20, side=1, seed=7)
    heat = {
        pose: heat_of(fitted(shaded(40, side=0, seed=0), pose), elsewhere)
        for pose in ("fixed", "auto")
    }
    assert heat["auto"].mean() < heat["fixed"].mean()


def test_a_part_the_wrong_way_round_is_noticed_where_parts_lie_one_way():
    found = fitted(parts(40, turned=False), "auto")
    right = heat_of(found, parts(20, turned=False, seed=5))
    for wrong in (parts(20, turned=False, seed=6)[:, :, ::-1], parts(20, turned=False)[:, ::-1]):
        assert heat_of(found, wrong).min() > right.max()


@pytest.mark.parametrize("n_channels", [6, 13])
def test_the_maps_of_any_bank_are_shifted_where_the_pose_is_fixed(n_channels):
    maps = torch.randn(16, n_channels, 8, 8, generator=torch.Generator().manual_seed(0))
    found = fit_linear_level(maps, maps[None], np.arange(16) % 4, pose="fixed")
    assert found.level.vae.latent_dim == (16 + 64) // 4


def ribbed(n: int, *, off: int) -> np.ndarray:
    """A part with fine ribs that lies any way round, up to ``off`` pixels beside its place."""
    rng = np.random.default_rng(3)
    ribs = 0.5 + 0.3 * np.sin(np.arange(SIZE) * 2 * np.pi / 16)
    images = []
    for _ in range(n):
        image = np.full((SIZE, SIZE), 0.8)
        image[12:52, 12:40] = ribs[12:52, None]
        image = np.roll(image, rng.integers(-off, off + 1, 2), (0, 1))
        image += 0.02 * rng.normal(size=image.shape)
        image = np.rot90(image, rng.integers(4))
        images.append(np.clip(image[:, ::-1] if rng.random() < 0.5 else image, 0, 1))
    return np.stack(images)


@pytest.mark.parametrize(("off", "is_sharper"), [(0, True), (8, False)])
def test_parts_at_the_same_place_are_learned_sharply(off, is_sharper):
    """Copies that are not shifted leave the mean of ribs as they are."""
    found = fitted(ribbed(48, off=off), "any").level
    maps = maps_of(ribbed(48, off=off))
    usual = augment_maps(maps, POSES, np.random.default_rng(0), reach=0).mean(0)
    difference = float((found.standardise.mean - usual).square().mean().sqrt())
    assert (difference < 0.1) == is_sharper


def test_channels_are_decorrelated_unless_parts_lie_any_way_round():
    assert fitted(parts(24, turned=False), "auto").level.decorrelation is not None
    assert fitted(parts(24, turned=True), "any").level.decorrelation is None
