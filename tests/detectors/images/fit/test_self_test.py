"""The self-test predicts what is found, warns where nothing is, and says from which size on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_anomaly import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.fit.kinds import DEFECT_KINDS, draw_defect
from vae_anomaly.detectors.images.fit.prediction import FoundShare, Prediction, found_metrics
from vae_anomaly.detectors.images.fit.self_test import (
    HARDLY,
    found_table,
    found_words,
    is_blind,
    self_test,
    self_test_words,
    warn_if_blind,
)
from vae_anomaly.detectors.recalibration import without_old_figures
from vae_anomaly.metrics import auroc, proportion_interval

SIDE = 64


def fitted(images: np.ndarray, **parameters: object) -> ImageVAEDetector:
    settings = {"image_size": SIDE, "preset": "fast", "random_state": 0} | parameters
    return ImageVAEDetector(**settings).fit(images)


def rubble(n: int, seed: int) -> np.ndarray:
    """Draw discs of any size and brightness: no image is like another."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images = np.zeros((n, SIDE, SIDE), dtype=np.uint8)
    for image in images:
        for _ in range(120):
            (cy, cx), radius = rng.uniform(0, SIDE, 2), 2 + 12 * rng.random() ** 3
            image[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = rng.integers(0, 256)
    return images


def smooth(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(110, 140, (n, SIDE, SIDE), dtype=np.uint8)


@pytest.fixture(scope="module")
def keen() -> ImageVAEDetector:
    return fitted(smooth(60, seed=0))


def test_maps_that_a_defect_heats_are_told_and_others_are_chance():
    rng = np.random.default_rng(0)
    normal = torch.from_numpy(rng.normal(size=(40, 16, 16)))
    hot = normal.clone()
    hot[:, 4:8, 4:8] += 6.0
    assert self_test(normal, hot) > 0.99
    assert self_test(normal, normal) == pytest.approx(0.5)


def test_it_warns_of_a_model_that_sees_nothing_and_is_right(caplog):
    detector = fitted(rubble(30, seed=0))
    assert "finds hardly any defects" in caplog.text
    assert is_blind(detector.predicted_recall())
    good, bad = rubble(40, seed=1), rubble(40, seed=2)
    bad[:, 30:36, 30:36] = 255
    scores = detector.anomaly_score(np.concatenate([good, bad]))
    assert auroc(np.repeat([0, 1], 40), scores) < 0.65


def test_what_it_predicts_comes_true_on_new_images(keen):
    predicted = {(one.kind, one.size): one for one in keen.predicted_recall()}
    new = smooth(60, seed=5)[..., None].astype(np.float32) / 255.0
    for kind, size in (("hole", 16), ("hole", 4), ("scratch", 16), ("blur", 16)):
        drawn = [draw_defect(x, kind, size, np.random.default_rng(i)) for i, x in enumerate(new)]
        bad = np.stack([np.rint(255 * one.image) for one in drawn]).astype(np.uint8)[..., 0]
        came_true = float((keen.predict(bad) == -1).mean())
        one = predicted[kind, size]
        assert one.share.low - 0.12 <= came_true <= one.share.high + 0.12, (kind, size)


def test_larger_defects_are_found_more_often_and_it_says_so_in_words(keen, caplog):
    found = keen.predicted_recall()
    holes = [one.share.estimate for one in found if one.kind == "hole"]
    assert holes[-1] > 0.9
    assert "holes from" in found_words(found)
    assert "Self-test" not in caplog.text
    assert keen.metrics_["self_test_found_hole"] == pytest.approx(np.mean(holes))
    assert keen.metrics_["self_test_auroc"] > 0.6


def test_it_follows_the_threshold_and_survives_saving(keen, tmp_path):
    strict = keen.predicted_recall(threshold=1e5)
    assert sum(one.found for one in strict) == 0
    assert sum(one.found for one in keen.predicted_recall(threshold=-1e5)) == len(
        keen.model_.prediction.kind
    )
    loaded = load_detector(keen.save(tmp_path / "model"))
    assert loaded.predicted_recall() == keen.predicted_recall()


def test_sizes_are_told_in_pixels_of_the_images_themselves():
    large = np.kron(smooth(24, seed=0), np.ones((1, 3, 3), np.uint8))
    found = fitted(large).predicted_recall()
    assert {one.own_size / one.size for one in found} == {3.0}
    assert "each 3 of the images' own" in found_words(found)


@pytest.mark.parametrize("preset", ["default", "thorough"])
def test_each_copy_is_judged_by_networks_that_have_not_seen_the_image(preset):
    detector = fitted(smooth(24, seed=0), preset=preset, max_steps=4)
    assert len(detector.model_.prediction.raw_score) > 200
    assert np.isfinite(detector.model_.prediction.raw_score).all()


def test_members_on_pixels_are_tested_too():
    detector = fitted(smooth(24, seed=0), model="conv", max_steps=4)
    assert {one.kind for one in detector.predicted_recall()} >= {"hole", "scratch", "stain"}


def one(kind: str, size: int, found: int, n: int = 20) -> FoundShare:
    return FoundShare(kind, size, 2.0 * size, n, found, proportion_interval(found, n))


def test_words_and_table_say_from_which_size_on():
    found = (one("hole", 4, 2), one("hole", 8, 19), one("hole", 16, 20), one("scratch", 8, 8))
    words = found_words(found)
    assert "holes from 8 px on: 98 in 100; scratches: 40 in 100." in words
    assert "each 2 of the images' own" in words
    head, rows = found_table(found)
    assert head == ("kind", "4 px", "8 px", "16 px")
    assert rows == (("holes", "10", "95", "100"), ("scratches", "", "40", ""))
    assert found_metrics(found)["self_test_found_hole"] == pytest.approx(0.683, abs=0.001)


def test_a_model_that_finds_one_kind_is_not_blind(caplog):
    nothing = tuple(one(kind, 16, 0) for kind in DEFECT_KINDS)
    warn_if_blind((*nothing, one("stain", 64, round(20 * HARDLY))))
    assert not caplog.text
    warn_if_blind(nothing)
    assert "none of 7 kinds and sizes" in caplog.text


def test_a_model_without_a_self_test_is_not_warned_of(caplog):
    warn_if_blind(())
    assert not caplog.text
    assert Prediction.from_state({}) is None


@pytest.mark.parametrize(("visible", "less"), [(0.55, True), (0.9, False)])
def test_models_of_earlier_versions_keep_their_words(visible, less):
    assert ("vae-anomaly evaluate" in self_test_words(visible)) == less
    assert f"{visible:.0%}" in self_test_words(visible)


def test_a_calibration_made_anew_leaves_no_old_share(keen):
    metrics = without_old_figures(keen.metrics_)
    assert "self_test_found" in keen.metrics_
    assert not [name for name in metrics if name.startswith("self_test_found")]
    assert "self_test_auroc" in metrics
