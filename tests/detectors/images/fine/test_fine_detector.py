"""A hole of a few pixels, from pixels to flag, heatmap and words; and back from disk."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_anomaly.detectors import ImageVAEDetector, load_detector
from vae_anomaly.detectors.images.onnx.graph import ScoringGraph

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


def metal(n: int, seed: int) -> np.ndarray:
    """Return brushed metal whose streaks differ much from image to image, (n, SIDE, SIDE)."""
    rng = np.random.default_rng(seed)
    streaks = rng.normal(0, 1, (n, SIDE, 1)) * rng.uniform(5, 25, (n, 1, 1))
    return np.clip(120 + streaks + rng.normal(0, 3, (n, SIDE, SIDE)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def mixed() -> ImageVAEDetector:
    model = ImageVAEDetector(image_size=SIDE, preset="fast", target_fpr=0.02, random_state=0)
    return model.fit(np.concatenate([cloth(60, 0), metal(60, 1)]))


def test_a_model_of_cloth_and_metal_finds_holes_and_says_the_same_after_loading(mixed, tmp_path):
    assert mixed.network_.spec.n_materials == 2
    images = np.concatenate([with_hole(cloth(8, 2), 60, 30), cloth(8, 3), metal(8, 4)])
    seen = mixed.examine(images)
    flagged = seen.anomaly_score > mixed.threshold_.value
    assert flagged[:8].mean() > 0.8
    assert flagged[8:].mean() < 0.2
    loaded = load_detector(mixed.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.examine(images).raw_score, seen.raw_score)


def test_the_graph_judges_by_material_as_the_detector_does(mixed):
    images = np.concatenate([with_hole(cloth(3, 2), 60, 30), metal(3, 4)])
    model, calibration = mixed.model_, mixed.calibration_
    assert model.score.by_material is not None
    graph = ScoringGraph(model.network, model.score, calibration, SIDE, model.heat_level).eval()
    with torch.no_grad():
        raw = graph(torch.from_numpy(images)[..., None])[0]
    np.testing.assert_allclose(raw, mixed.examine(images).raw_score, rtol=1e-5, atol=1e-4)
