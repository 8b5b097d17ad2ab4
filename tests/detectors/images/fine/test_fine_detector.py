"""A hole of a few pixels, from pixels to flag, heatmap and words; and back from disk."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors import ImageVAEDetector, load_detector

SIDE = 96


def cloth(n: int, seed: int) -> np.ndarray:
    """Return woven cloth that begins anywhere, (n, SIDE, SIDE), uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images = []
    for _ in range(n):
        across, down = rng.uniform(0, 6, 2)
        weave = np.sin((x + across) * 2 * np.pi / 6) * np.sin((y + down) * 2 * np.pi / 6)
        images.append(120 + 40 * weave + rng.normal(0, 3, (SIDE, SIDE)))
    return np.clip(images, 0, 255).astype(np.uint8)


def with_hole(images: np.ndarray, x: int, y: int) -> np.ndarray:
    spoilt = images.copy()
    spoilt[:, y - 2 : y + 3, x - 2 : x + 3] = 25
    return spoilt


@pytest.fixture(scope="module")
def detector() -> ImageVAEDetector:
    model = ImageVAEDetector(image_size=SIDE, preset="fast", target_fpr=0.02, random_state=0)
    return model.fit(cloth(100, 0))


def test_a_hole_of_five_pixels_in_cloth_is_flagged_where_it_is_and_named(detector):
    spoilt = with_hole(cloth(8, 1), 60, 30)
    examination = detector.examine(spoilt)
    assert (examination.anomaly_score > detector.threshold_.value).mean() > 0.8
    assert (examination.evidence["fine_spots"] > 4.6).all()
    for regions, reasons in zip(detector.regions(spoilt), detector.reasons(spoilt), strict=True):
        hit = [r for r in regions if r.left <= 60 < r.right and r.top <= 30 < r.bottom]
        assert hit
        assert any("dark" in reason for reason in reasons)


def test_good_cloth_is_flagged_no_more_often_than_promised(detector):
    assert (detector.p_value(cloth(150, 2)) <= 0.05).mean() < 0.1


def test_a_saved_model_says_the_same_of_fine_detail(detector, tmp_path):
    loaded = load_detector(detector.save(tmp_path / "model"))
    spoilt = with_hole(cloth(3, 3), 20, 70)
    one, two = detector.examine(spoilt), loaded.examine(spoilt)
    np.testing.assert_array_equal(one.evidence.to_numpy(), two.evidence.to_numpy())
    np.testing.assert_array_equal(one.heatmap, two.heatmap)
    assert detector.reasons(spoilt) == loaded.reasons(spoilt)
