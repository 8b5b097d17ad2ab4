"""Synthetic defects on large images: only the tiles that show one are looked at again."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.tiles.examine import PlacedImage, inspect_tiles
from vae_anomaly.detectors.images.tiles.spoiling import _Look, spoiled_tiles


def sheets(n: int, seed: int) -> np.ndarray:
    """Smooth sheets whose sides are no whole number of cells, uint16."""
    return np.random.default_rng(seed).integers(30000, 34000, (n, 150, 203)).astype(np.uint16)


@pytest.fixture(scope="module")
def tiled() -> ImageVAEDetector:
    return ImageVAEDetector(tile_size=64, preset="fast", random_state=0).fit(sheets(16, 0))


@pytest.mark.parametrize("number", [0, 5, 11])
def test_a_second_look_at_the_tiles_that_show_a_defect_is_a_look_at_all(tiled, number):
    network, pixels = tiled.model_.network, sheets(1, 3)[0]
    look = _Look.at(network, PlacedImage("sheet", pixels), 1)
    spoiled, where = look.crop(number)[0].copy(), (slice(40, 64), slice(10, 30))
    where = tuple(
        slice(s.start, min(s.stop, n)) for s, n in zip(where, spoiled.shape, strict=False)
    )
    spoiled[where] = 0.0
    pooled, statistics = look.again(number, spoiled, where)
    top, left = look._corner(number)
    bad = pixels.copy()
    bad[top + where[0].start : top + where[0].stop, left + 10 : left + where[1].stop] = 0
    image = inspect_tiles(network, PlacedImage("sheet", bad), (1,))
    np.testing.assert_allclose(pooled, image.pooled(network.grounds((1,))), atol=1e-4)
    np.testing.assert_allclose(statistics, image.statistics, atol=1e-5)


def test_a_model_of_tiles_predicts_in_the_images_own_pixels(tiled, tmp_path):
    found = tiled.predicted_recall()
    holes = {one.size: one for one in found if one.kind == "hole"}
    assert holes[16].share.estimate > 0.8
    assert {one.own_size / one.size for one in found} == {1.0}
    assert load_detector(tiled.save(tmp_path / "model")).predicted_recall() == found


def test_the_image_itself_is_left_alone(tiled):
    pixels = sheets(1, 3)[0]
    before = pixels.copy()
    cells, pooled, _ = spoiled_tiles(tiled.model_.network, PlacedImage("sheet", pixels), 0, (0, 1))
    np.testing.assert_array_equal(pixels, before)
    assert len(cells) == len(pooled)
