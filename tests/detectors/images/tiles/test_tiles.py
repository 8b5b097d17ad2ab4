"""Large images tile by tile: fine defects are found once, in place, and always alike."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from vae_anomaly.detectors import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.tiles.fit import _quotas
from vae_anomaly.detectors.images.tiles.grid import TileGrid
from vae_anomaly.detectors.images.tiles.network import PlaceMoments
from vae_anomaly.errors import ConfigError, DataError, ImageError, NotEnoughDataError

LARGE = 1024


def fabrics(n: int, seed: int, size: int = LARGE) -> list[np.ndarray]:
    """Woven stuff: threads of a pixel along x, nothing at any place of its own, uint8."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        noise = rng.standard_normal((size, size), dtype=np.float32)
        threads = 24.0 * ndimage.uniform_filter1d(noise, 9, axis=1, mode="wrap") * 3.0
        images.append(np.clip(120 + rng.uniform(-8, 8) + threads, 0, 255).astype(np.uint8))
    return images


def boards(n: int, seed: int, size: int = 256) -> list[np.ndarray]:
    """Plates with the same forty parts at the same places, uint8."""
    plan, rng = np.random.default_rng(99), np.random.default_rng(seed)
    base = np.full((size, size), 90.0)
    for _ in range(40):
        (y, x), (h, w) = plan.integers(8, size - 40, 2), plan.integers(10, 28, 2)
        base[y : y + h, x : x + w] = plan.uniform(40, 200)
    return [
        np.clip(base * rng.uniform(0.95, 1.05) + rng.normal(0, 4, base.shape), 0, 255).astype("u1")
        for _ in range(n)
    ]


def turned(image: np.ndarray, y: int, x: int, side: int = 32) -> np.ndarray:
    """Turn the threads of a square by 90 degrees: same brightness, 0.1 % of 1024 x 1024."""
    broken = image.copy()
    broken[y : y + side, x : x + side] = image[y : y + side, x : x + side].T
    return broken


@pytest.fixture(scope="module")
def good() -> list[np.ndarray]:
    return fabrics(10, 1)


@pytest.fixture(scope="module")
def fresh() -> list[np.ndarray]:
    return fabrics(3, 2)


@pytest.fixture(scope="module")
def tiled(good) -> ImageVAEDetector:
    return ImageVAEDetector(
        tile_size=256, preset="fast", pose="fixed", latent_dim=4, random_state=0
    ).fit(good)


PLACES = [(100, 700), (500, 300), (980, 980)]


@pytest.fixture(scope="module")
def broken(fresh) -> list[np.ndarray]:
    return [turned(p, *place) for p, place in zip(fresh, PLACES, strict=True)]


def test_a_defect_of_a_thousandth_of_the_area_is_found_and_located(tiled, fresh, broken):
    seen = tiled.examine([*fresh, *broken])
    assert seen.raw_score[3:].min() > seen.raw_score[:3].max()
    hottest = seen.evidence["heat_top_0.2pct"]
    assert hottest[3:].min() > hottest[:3].max()
    for (y, x), regions in zip(PLACES, tiled.regions(broken), strict=True):
        assert len(regions) == 1
        assert abs((regions[0].top + regions[0].bottom) / 2 - y - 16) < 16
        assert abs((regions[0].left + regions[0].right) / 2 - x - 16) < 16
    assert all(mask.shape == (LARGE, LARGE) for mask in tiled.masks(broken))


def test_the_image_as_a_whole_shows_no_such_defect(good, fresh, broken):
    whole = ImageVAEDetector(image_size=256, preset="fast", pose="fixed", random_state=0).fit(good)
    seen = whole.examine([*fresh, *broken])
    assert seen.raw_score[3:].min() < seen.raw_score[:3].max()
    assert whole.regions(broken) == [[], [], []]


def test_a_defect_on_the_border_of_tiles_is_one_region(tiled, fresh):
    grid = TileGrid(LARGE, LARGE, 256, 0.25, 8)
    y, x = 8 * grid.rows[1] - 16, 8 * grid.columns[2] + 240  # across the first row of tiles, too
    (regions,) = tiled.regions([turned(fresh[0], y, x, 48)])
    assert len(regions) == 1
    assert regions[0].top <= y + 24 <= regions[0].bottom


def test_good_images_have_no_seams(tiled, fresh):
    grid = TileGrid(LARGE, LARGE, 256, 0.25, 8)
    heat = tiled.examine(fresh).heatmap
    step = np.abs(np.diff(heat, axis=1)).mean(axis=(0, 1))  # between columns of cells
    borders = [start - 1 for start in grid.columns[1:]]
    assert step[borders].mean() < 1.3 * step.mean()


def test_score_is_the_same_alone_in_a_batch_and_after_reload(tiled, fresh, broken, tmp_path):
    batch = tiled.examine([*fresh, *broken])
    alone = tiled.examine(broken[1:2])
    np.testing.assert_array_equal(alone.raw_score, batch.raw_score[4:5])
    np.testing.assert_array_equal(alone.heatmap[0], batch.heatmap[4])
    again = load_detector(tiled.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.examine(broken[1:2]).raw_score, alone.raw_score)
    assert again.get_params() == tiled.get_params()
    assert (
        tiled.evidence(broken[:1]).columns.tolist() == again.evidence(broken[:1]).columns.tolist()
    )


def test_a_fabric_has_no_places_and_may_have_another_size(tiled, broken):
    assert tiled.metrics_["aligned"] == 0.0
    cut = [broken[0][:400, 400:], broken[1]]
    seen = tiled.examine(cut)
    assert seen.heatmap.shape == (2, 128, 128)
    assert tiled.heatmap(cut).shape == (2, 128, 128)
    (region,) = tiled.regions(cut[:1])[0]
    assert region.top - 12 <= 100 + 16 <= region.bottom + 12
    assert region.left - 12 <= 300 + 16 <= region.right + 12


@pytest.fixture(scope="module")
def board_detector() -> ImageVAEDetector:
    return ImageVAEDetector(tile_size=64, max_steps=4, random_state=0).fit(boards(16, 1))


def test_a_part_at_the_wrong_place_is_found_where_images_are_aligned(board_detector):
    fresh = boards(3, 2)
    assert board_detector.metrics_["aligned"] == 1.0
    doubled = fresh[0].copy()
    doubled[40:60, 180:200] = 200 - doubled[40:60, 180:200] // 2  # as bright as other parts
    seen = board_detector.examine([*fresh, doubled])
    assert seen.raw_score[3] > 2.0 * seen.raw_score[:3].max()
    (region, *_) = board_detector.regions([doubled])[0]
    assert region.top <= 50 <= region.bottom
    assert region.left <= 190 <= region.right


def test_aligned_images_of_another_size_are_refused_by_name(board_detector, tmp_path):
    Image.fromarray(boards(1, 3, 272)[0]).save(tmp_path / "wide.png")
    with pytest.raises(ImageError, match=r"wide\.png has 272 x 272 .* had 256 x 256") as caught:
        board_detector.examine(tmp_path / "wide.png")
    assert caught.value.code == "size"
    assert "pose='any'" in str(caught.value)


def test_held_out_boards_are_as_hot_as_new_ones(board_detector):
    fresh = board_detector.examine(boards(12, 5))
    assert abs(float(fresh.heatmap.mean())) < 0.4
    assert float(fresh.heatmap.std()) == pytest.approx(1.0, abs=0.3)
    assert (fresh.p_value <= 0.1).mean() <= 0.35


def test_images_smaller_than_a_tile_are_all_named_with_the_remedy(tmp_path):
    for i, image in enumerate(boards(9, 1)):
        Image.fromarray(image if i > 1 else image[:100]).save(tmp_path / f"{i}.png")
    with pytest.raises(ImageError, match=r"2 of 9 .*0\.png has 100 x 256") as caught:
        ImageVAEDetector(tile_size=128, preset="fast").fit(tmp_path)
    assert "1.png" in str(caught.value)
    assert "tile_size of at most 96" in str(caught.value)


def test_groups_stay_in_one_half_and_three_are_too_few():
    images = boards(12, 1)
    detector = ImageVAEDetector(tile_size=64, preset="fast", random_state=0)
    with pytest.raises(NotEnoughDataError, match="at least 4 groups"):
        detector.fit(images, groups=["a", "b", "c"] * 4)
    shots = [p for p in boards(6, 1, 128) for _ in range(3)]  # the same image three times
    names, new = np.repeat(list("abcdef"), 3), boards(12, 7, 128)
    leaky, honest = (detector.fit(shots, groups=g).p_value(new).mean() for g in (None, names))
    assert honest > leaky


def test_same_seed_gives_the_same_model_and_reading_errors_are_named(tmp_path):
    make = ImageVAEDetector(tile_size=64, preset="fast", random_state=3, pose="any")
    first, second = (
        make.fit(boards(8, 1, 128)).examine(boards(2, 4, 128)).raw_score for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert make.metrics_["aligned"] == 0.0
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"text\.png"):
        make.examine(tmp_path / "text.png")


def test_latents_of_a_large_image_are_refused_with_the_reason(board_detector):
    for ask in (
        lambda: board_detector.transform(boards(1, 1)),
        lambda: board_detector.reconstruct(boards(1, 1)),
        lambda: board_detector.sample(2),
    ):
        with pytest.raises(ConfigError, match="latents for each tile"):
            ask()


@pytest.mark.parametrize(
    "parameters",
    [{"tile_size": 100}, {"tile_size": 32}, {"tile_size": 64, "tile_overlap": 0.7},
     {"tile_size": 64, "model": "conv"}],
    ids=str,
)  # fmt: skip
def test_tiles_without_meaning_are_refused(parameters):
    with pytest.raises(ConfigError, match="tile_"):
        ImageVAEDetector(**parameters).fit(boards(8, 1))


def test_training_takes_no_more_tiles_than_it_may_of_any_number_of_images():
    for n in (8, 100, 5000):
        halves = np.arange(n) % 2
        quota = _quotas(halves, 256, 0)
        assert quota[halves == 0].sum() == quota[halves == 1].sum() == 500
        assert np.ptp(quota) <= 1 or n == 8


def test_places_say_something_of_boards_and_nothing_of_noise():
    import torch

    generator = torch.Generator().manual_seed(0)
    places = torch.randn(6, 3, 8, 8, generator=generator)
    told, untold = PlaceMoments((6, 3, 8, 8)), PlaceMoments((6, 3, 8, 8))
    values = []
    for _ in range(20):
        noise = torch.randn(6, 3, 8, 8, generator=generator)
        told.n += 1
        untold.n += 1
        told.add(torch.arange(6), places + 0.5 * noise)
        untold.add(torch.arange(6), noise)
        values.append(places + 0.5 * noise)
    torch.testing.assert_close(told.mean, torch.stack(values).mean(0))
    torch.testing.assert_close(told.squares / 19, torch.stack(values).var(0))
    assert told.share_left() == pytest.approx(0.25 * 1.05 / 1.25, abs=0.05)
    assert untold.share_left() > 0.98
    one = values[7]
    others = torch.stack(values[:7] + values[8:]).mean(0)
    alone = told.unseen(one, one, torch.arange(6))
    torch.testing.assert_close(alone, (one - others) / told.positions().spread)
