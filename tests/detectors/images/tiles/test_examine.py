"""Large images of parts that move, on a background that does not matter, in tiles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from vae_anomaly.detectors import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.place.placing import Foreground, Placing
from vae_anomaly.detectors.images.place.registration import shift_image
from vae_anomaly.detectors.images.tiles.examine import TilePlacing
from vae_anomaly.errors import ImageError

SIDE, REDUCED, TILE = 320, 64, 64  # of images, of what the shift is looked for on, of tiles
HOLE = (150, 170)


def plates(n: int, seed: int, *, most: int = 24, hole: bool = False) -> tuple[list, np.ndarray]:
    """Return plates with fifty parts at the same places that move by up to 7 %, and how far."""
    plan, rng = np.random.default_rng(9), np.random.default_rng(seed)
    base = np.full((SIDE, SIDE), 0.6)
    for _ in range(50):
        (y, x), (h, w) = plan.integers(50, SIDE - 80, 2), plan.integers(6, 24, 2)
        base[y : y + h, x : x + w] = plan.uniform(0.2, 0.9)
    shifts = rng.integers(-most, most + 1, (n, 2))
    images = []
    for shift in shifts:
        plate = base + 0.02 * ndimage.gaussian_filter(rng.normal(size=base.shape), 0.7)
        if hole:
            y, x = HOLE
            plate[y : y + 12, x : x + 12] = 1.0 - plate[y : y + 12, x : x + 12]
        moved = shift_image(plate, tuple(-shift)) * rng.uniform(0.97, 1.03)
        images.append(np.clip(moved * 255, 0, 255).astype(np.uint8))
    return images, shifts


def fitted(images: list, **choices: str) -> ImageVAEDetector:
    return ImageVAEDetector(
        image_size=REDUCED, tile_size=TILE, preset="fast", random_state=0, **choices
    ).fit(images)


def placing_of(detector: ImageVAEDetector) -> TilePlacing:
    return TilePlacing(detector.model_.placing, detector.channels_)


@pytest.fixture(scope="module")
def good() -> list:
    return plates(16, 1)[0]


@pytest.fixture(scope="module")
def registered(good) -> ImageVAEDetector:
    return fitted(good, register="auto")


def test_the_shift_of_a_large_image_is_known_to_a_pixel(registered):
    images, shifts = plates(12, 2)
    placing = placing_of(registered)
    found = np.array([placing("a plate", image).shift for image in images])
    offset = np.median(found - shifts, axis=0)  # where the reference lies
    assert np.abs(found - shifts - offset).max() <= 1.0
    coarse = TilePlacing(
        Placing(registration=registered.registration_)
    )  # five pixels to one, without the second look
    rough = np.array([coarse("a plate", image).shift for image in images])
    assert np.abs(rough - shifts - np.median(rough - shifts, axis=0)).max() > 1.0


def test_a_defect_of_a_part_that_moves_is_found_where_the_image_shows_it(good, registered):
    fresh, (broken, shifts) = plates(8, 2)[0], plates(8, 3, hole=True)
    assert registered.metrics_["registered"] == registered.metrics_["aligned"] == 1.0
    normal, strange = registered.anomaly_score(fresh), registered.anomaly_score(broken)
    assert strange.min() > normal.max()
    maps = registered.heatmap(broken, size=(SIDE, SIDE))
    hottest = np.array([np.unravel_index(heat.argmax(), heat.shape) for heat in maps])
    assert np.abs(hottest - (np.array(HOLE) + 6 + shifts)).max() <= 12
    for (region, *_), (y, x) in zip(registered.regions(broken), hottest, strict=True):
        assert region.top <= y < region.bottom
        assert region.left <= x < region.right
    still = fitted(good)
    normal, strange = still.anomaly_score(fresh), still.anomaly_score(broken)
    assert strange.min() < normal.max()


def test_what_moves_out_of_sight_is_not_looked_at(registered):
    (image,), _ = plates(1, 4)
    seen = registered.examine([image])
    shift = np.array(placing_of(registered)("a plate", image).shift)
    rows = slice(None, shift[0] // 8) if shift[0] > 0 else slice(shift[0] // 8, None)
    assert abs(shift[0]) >= 8
    assert (seen.heatmap[0][rows] == 0.0).all()


def test_a_registered_model_comes_back_with_its_window(registered, tmp_path):
    images = plates(3, 5)[0]
    again = load_detector(registered.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.anomaly_score(images), registered.anomaly_score(images))
    np.testing.assert_array_equal(again.heatmap(images), registered.heatmap(images))


def caps(n: int, seed: int) -> list[np.ndarray]:
    """Round caps with a grain, on an even ground; the lower right quarter has none of them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:256, :256]
    inside = np.hypot(y - 90, x - 90) < 60
    images = []
    for _ in range(n):
        grain = 18 * ndimage.gaussian_filter(rng.normal(size=inside.shape), (0.5, 3)) * 2
        ground = 190 + rng.normal(0, 1, inside.shape)
        images.append(np.clip(np.where(inside, 90 + grain, ground), 0, 255).astype(np.uint8))
    return images


def dotted(image: np.ndarray, y: int, x: int) -> np.ndarray:
    broken = image.copy()
    broken[y : y + 12, x : x + 12] = 20
    return broken


@pytest.fixture(scope="module")
def masked() -> ImageVAEDetector:
    return fitted(caps(12, 1), foreground="auto")


def test_dust_on_the_background_of_a_large_image_is_not_seen_and_a_fault_of_the_part_is(masked):
    (cap,) = caps(1, 2)
    seen = masked.examine([cap, dotted(cap, 220, 220), dotted(cap, 90, 60)])
    assert masked.metrics_["foreground_share"] < 0.5
    assert seen.raw_score[1] == seen.raw_score[0]
    assert seen.raw_score[2] > 2.0 * seen.raw_score[:2].max()
    assert (seen.heatmap[:, 22:, 22:] == 0.0).all()
    (region, *_) = masked.regions([dotted(cap, 90, 60)])[0]
    assert region.top <= 96 <= region.bottom
    assert region.left <= 66 <= region.right
    plain = fitted(caps(12, 1))
    assert plain.examine([dotted(cap, 220, 220)]).heatmap[0, 22:, 22:].max() > 5.0


def test_background_tiles_are_neither_trained_on_nor_looked_at(masked):
    (cap,) = caps(1, 2)
    placed = placing_of(masked)("a cap", cap)
    grid = masked.network_.layout.grid()
    looked_at = placed.tiles(grid)
    assert 0 < len(looked_at) < len(grid)
    assert masked.metrics_["tiles_trained_on"] == 12 * len(looked_at)
    assert placed.inside(grid)[grid.window(int(looked_at[0]))].any()


def test_held_out_parts_are_as_hot_as_new_ones(masked):
    fresh = masked.examine(caps(24, 7))
    inside = fresh.heatmap[:, masked.foreground_.on(fresh.heatmap.shape[1:])]
    assert abs(float(inside.mean())) < 0.3
    assert float(inside.std()) == pytest.approx(1.0, abs=0.3)
    assert (fresh.p_value <= 0.1).mean() <= 0.3


def test_a_masked_model_comes_back_as_it_was(masked, tmp_path):
    again = load_detector(masked.save(tmp_path / "model"))
    seen, before = again.examine(caps(2, 5)), masked.examine(caps(2, 5))
    np.testing.assert_array_equal(seen.raw_score, before.raw_score)
    np.testing.assert_array_equal(seen.heatmap, before.heatmap)


def test_painting_leaves_the_type_and_the_foreground_as_they_are():
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    for dtype, white in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1)):
        image = np.full((200, 120, 3), white, dtype)
        image[60:90, 40:60] = 0
        image[:40, 40:60] = 0  # not part of the mask
        painted = Foreground(mask).paint(image)
        assert painted.dtype == dtype
        assert (painted[60:90, 40:60] == 0).all()
        assert (painted[:50] == white).all()


def test_pixels_without_meaning_are_named_when_the_shift_is_looked_for(registered):
    with pytest.raises(ImageError, match=r"0: Pixels are"):
        registered.examine([np.full((SIDE, SIDE), 7.0)])
