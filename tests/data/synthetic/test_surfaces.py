from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_anomaly.data.images.folders import list_images
from vae_anomaly.data.synthetic import Surface, render_surfaces, write_surfaces
from vae_anomaly.errors import ConfigError

SIZE = 96


@pytest.fixture(scope="module")
def surfaces() -> list[Surface]:
    return list(render_surfaces(12, 6, 18, size=SIZE, random_state=1))


def digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.png"))
    }


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    first = digest(write_surfaces(tmp_path / "a", 4, 2, 6, size=SIZE, random_state=5))
    second = digest(write_surfaces(tmp_path / "b", 4, 2, 6, size=SIZE, random_state=5))
    other = digest(write_surfaces(tmp_path / "c", 4, 2, 6, size=SIZE, random_state=6))
    assert first == second
    assert not set(first.values()) & set(other.values())


def test_more_images_leave_the_others_as_they_are(surfaces: list[Surface]) -> None:
    fewer = {
        (s.kind, s.split, s.name): s for s in render_surfaces(3, 1, 3, size=SIZE, random_state=1)
    }
    for surface in surfaces:
        same = fewer.pop((surface.kind, surface.split, surface.name), None)
        if same is not None:
            np.testing.assert_array_equal(same.pixels, surface.pixels)
    assert not fewer


def test_no_two_images_are_alike(surfaces: list[Surface]) -> None:
    assert len({surface.pixels.tobytes() for surface in surfaces}) == len(surfaces)


def test_half_of_each_kind_is_coloured(surfaces: list[Surface]) -> None:
    for kind in ("good", "scratch", "hole", "stain"):
        coloured = [surface.pixels.ndim == 3 for surface in surfaces if surface.kind == kind]
        assert sum(coloured) * 2 == len(coloured)


def test_only_flaws_have_a_mask_and_every_mask_is_small_and_not_empty(
    surfaces: list[Surface],
) -> None:
    for surface in surfaces:
        assert (surface.mask is None) == (surface.kind == "good")
        if surface.mask is not None:
            assert surface.mask.shape == surface.pixels.shape[:2]
            assert 4 <= surface.mask.sum() < 0.2 * SIZE * SIZE


def test_no_image_is_over_or_underexposed(surfaces: list[Surface]) -> None:
    for surface in surfaces:
        assert (surface.pixels == 255).mean() < 0.01
        assert 60 < surface.pixels.mean() < 190


@pytest.mark.parametrize("kind", ["scratch", "hole", "stain"])
@pytest.mark.parametrize("coloured", [False, True], ids=["plate", "cloth"])
def test_a_flaw_changes_the_image_where_its_mask_is(kind: str, coloured: bool) -> None:
    from vae_anomaly.data.synthetic.materials import render_cloth, render_plate
    from vae_anomaly.data.synthetic.surfaces import add_flaw

    for seed in range(5):
        rng = np.random.default_rng(seed)
        scene = (render_cloth if coloured else render_plate)(160, rng)
        flawed, mask = add_flaw(scene, kind, rng)
        change = np.abs(flawed.light - scene.light)
        change = change.max(axis=2) if coloured else change
        assert change[mask].mean() > 0.03
        assert change[~mask].mean() < 0.02 * change[mask].mean()
        assert change[scene.inside <= 0].max(initial=0) < 0.1


def test_brightness_does_not_tell_the_label() -> None:
    images = list(render_surfaces(0, 30, 30, size=64, colour_share=0, random_state=2))
    means = {
        kind: [s.pixels.mean() for s in images if (s.kind == "good") == kind]
        for kind in (True, False)
    }
    wins = np.mean(np.array(means[True])[:, None] > np.array(means[False]))
    assert 0.25 < wins < 0.75


def test_written_folders_are_read_back_with_masks(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    write_surfaces(tmp_path, 2, 2, 6, size=SIZE, progress=lambda *step: told.append(step))
    items = list_images(tmp_path)
    assert [item.split for item in items].count("train") == 2
    flawed = [item for item in items if item.is_anomaly]
    assert len(flawed) == 6
    assert told[-1] == ("render surfaces", 10, 10)
    for item in flawed:
        assert item.mask is not None
        with Image.open(item.mask) as mask:
            assert set(np.unique(np.asarray(mask))) == {0, 255}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour_share": 1.5}, "colour_share"),
        ({"size": 8}, "at least 32"),
        ({"n_defective": -1}, "negative"),
    ],
)
def test_impossible_orders_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        render_surfaces(**options)  # type: ignore[arg-type]  # wrong on purpose
