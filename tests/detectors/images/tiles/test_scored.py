"""Of large images the linear level's map is scored, and of the shown one what is hot in it."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from vae_anomaly.detectors import ImageVAEDetector, load_detector
from vae_anomaly.persistence import read_model, write_model

SIZE, HOLE = 144, 14
CORNERS = [(10, 100), (60, 60), (120, 20), (90, 118)]


def fabrics(n: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, SIZE, SIZE))
    threads = 72.0 * ndimage.uniform_filter1d(noise, 9, axis=2, mode="wrap")
    return list(np.clip(120 + rng.uniform(-8, 8, (n, 1, 1)) + threads, 0, 255).astype("u1"))


def darker(images: list[np.ndarray]) -> list[np.ndarray]:
    broken = [image.copy() for image in images]
    for image, (y, x) in zip(broken, CORNERS, strict=True):
        image[y : y + HOLE, x : x + HOLE] //= 2
    return broken


def make(**parameters) -> ImageVAEDetector:
    settings = {"tile_size": 64, "pose": "fixed", "random_state": 0, "target_fpr": 0.1}
    return ImageVAEDetector(**{**settings, **parameters}).fit(fabrics(24, 1))


@pytest.fixture(scope="module")
def fast() -> ImageVAEDetector:
    return make(preset="fast")


@pytest.fixture(scope="module")
def full() -> ImageVAEDetector:
    return make(max_steps=10)


@pytest.fixture(scope="module")
def broken() -> list[np.ndarray]:
    return darker(fabrics(4, 2))


def test_large_images_are_scored_by_the_linear_level_and_what_the_heads_shout(fast, full, broken):
    one, two = fast.examine(broken), full.examine(broken)
    np.testing.assert_array_equal(one.score_map, one.heatmap)
    assert np.abs(two.score_map - two.heatmap).max() > 0.5
    np.testing.assert_allclose(two.score_map, one.score_map, atol=1e-3)
    assert two.evidence["shown_top_0.2pct"].max() > 2.3
    pools = [seen.evidence.filter(like="heat_top") for seen in (one, two)]
    np.testing.assert_allclose(pools[0], pools[1], rtol=1e-3)


def test_a_image_has_the_same_score_alone(full, broken):
    alone = full.anomaly_score(broken[2:3])
    np.testing.assert_allclose(alone, full.anomaly_score(broken)[2:3], rtol=1e-6)


def test_a_flagged_image_whose_heat_map_stays_cool_says_where_the_scored_map_is_hottest(
    full, broken
):
    assert (full.predict(broken) == -1).all()
    cool = copy(full)
    cool.model_ = replace(full.model_, heat_level=np.inf)
    said = [reasons[0] for reasons in cool.reasons(broken)]
    for reason, (y, x) in zip(said, CORNERS, strict=True):
        left, right, top, bottom = map(int, re.findall(r"\d+", reason)[:4])
        assert "where the scored map reaches" in reason
        assert abs((left + right) / 2 - x - HOLE / 2) < 16
        assert abs((top + bottom) / 2 - y - HOLE / 2) < 16


def test_a_model_saved_when_tiles_had_one_map_scores_by_the_one_it_shows(full, broken, tmp_path):
    state = read_model(full.save(tmp_path / "model"))
    del state.preprocessing["tiles"]["scored"]
    for name in [name for name in state.weights if name.startswith("scored_scales")]:
        del state.weights[name]
    state.calibration["pooled"] = state.calibration["pooled"][:, :-1]
    old = load_detector(write_model(state, tmp_path / "old"))
    seen = old.examine(broken)
    assert old.network_.spec.scored == "shown"
    np.testing.assert_array_equal(seen.score_map, seen.heatmap)
    np.testing.assert_allclose(seen.heatmap, full.examine(broken).heatmap, atol=1e-4)


def test_a_reloaded_model_scores_by_the_same_map(full, broken, tmp_path):
    again = load_detector(full.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.examine(broken).score_map, full.examine(broken).score_map)
    np.testing.assert_allclose(again.anomaly_score(broken), full.anomaly_score(broken), rtol=1e-5)
