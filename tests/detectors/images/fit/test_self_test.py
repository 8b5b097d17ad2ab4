"""The self-test warns where it knows something, and says less where it does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_anomaly import ImageVAEDetector
from vae_anomaly.detectors.images.fit.self_test import (
    BLIND,
    HARD,
    self_test,
    self_test_words,
    warn_if_blind,
)
from vae_anomaly.metrics import auroc

SIDE = 64


def fitted(images: np.ndarray) -> ImageVAEDetector:
    return ImageVAEDetector(image_size=SIDE, preset="fast", random_state=0).fit(images)


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


def test_maps_that_a_defect_heats_are_told_and_others_are_chance():
    rng = np.random.default_rng(0)
    normal = torch.from_numpy(rng.normal(size=(40, 16, 16)))
    hot = normal.clone()
    hot[:, 4:8, 4:8] += 6.0
    assert self_test(normal, hot) > 0.99
    assert self_test(normal, normal) == pytest.approx(0.5)


def test_it_warns_of_a_model_that_sees_nothing_and_is_right(caplog):
    detector = fitted(rubble(30, seed=0))
    assert detector.metrics_["self_test_auroc"] < BLIND
    assert "this model sees no defects" in caplog.text
    good, bad = rubble(40, seed=1), rubble(40, seed=2)
    bad[:, 30:36, 30:36] = 255
    scores = detector.anomaly_score(np.concatenate([good, bad]))
    assert auroc(np.repeat([0, 1], 40), scores) < 0.65


def test_it_is_silent_where_defects_are_seen(caplog):
    rng = np.random.default_rng(0)
    detector = fitted(rng.integers(90, 110, (24, SIDE, SIDE), dtype=np.uint8))
    assert detector.metrics_["self_test_auroc"] > HARD
    assert "Self-test" not in caplog.text


@pytest.mark.parametrize(
    ("visible", "warned", "less"),
    [(0.51, True, False), (0.55, False, True), (0.59, False, True), (0.9, False, False)],
)
def test_between_chance_and_plain_it_says_to_measure_and_does_not_warn(
    visible, warned, less, caplog
):
    warn_if_blind({"self_test_auroc": visible})
    assert ("sees no defects" in caplog.text) == warned
    assert ("vae-anomaly evaluate" in self_test_words(visible)) == less
    assert f"{visible:.0%}" in self_test_words(visible)


def test_a_model_without_a_self_test_is_not_warned_of(caplog):
    warn_if_blind({})
    assert not caplog.text
