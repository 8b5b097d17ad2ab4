"""The graphs of score and calibration say what their NumPy twins say, in the tails as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_anomaly.detectors.images.onnx.graph import (
    CalibrationGraph,
    ImageScoreGraph,
    PiecewiseLinear,
)
from vae_anomaly.detectors.images.score import ImageScore, PoolSurprise, pool_maps_of_images
from vae_anomaly.scoring.conformal import ConformalCalibration


@pytest.mark.parametrize("n", [1, 2, 15, 400])
def test_the_graph_of_a_surprise_is_exact_inside_and_far_outside(rng, n):
    surprise = PoolSurprise(rng.gamma(2.0, 3.0, n).round(2))  # rounded: some values are tied
    values = np.r_[np.linspace(-50.0, 500.0, 3001), surprise.reference]
    found = PiecewiseLinear.of_surprise(surprise)(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(found, surprise(values), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("heavy", [False, True], ids=["exponential", "pareto"])
@pytest.mark.parametrize("n", [1, 9, 300])
def test_the_graph_of_a_calibration_is_exact_inside_and_far_outside(rng, n, heavy):
    scores = rng.pareto(1.5, n) if heavy else rng.uniform(0.0, 3.0, n)
    calibration = ConformalCalibration.fit(scores)
    raw = np.r_[np.linspace(-20.0, 200.0, 2001), scores]
    score, p_value = CalibrationGraph(calibration)(torch.from_numpy(raw))
    np.testing.assert_allclose(score.numpy(), calibration.anomaly_score(raw), atol=1e-9)
    np.testing.assert_array_equal(p_value.numpy(), calibration.p_value(raw))


@pytest.mark.parametrize("two_maps", [False, True])
def test_the_graph_of_an_image_score_pools_and_adds_as_it_does(rng, two_maps):
    heat, other = rng.normal(size=(2, 30, 16, 16)).astype(np.float32)
    statistics = rng.normal(size=(30, 11)).astype(np.float32)
    rows = np.arange(30)
    pooled = pool_maps_of_images(heat, other if two_maps else None)
    score, _ = ImageScore.fit(pooled, statistics, rows % 5, rows)
    new, shown = rng.normal(1.0, 4.0, (2, 20, 16, 16)).astype(np.float32)
    seen = rng.normal(0.0, 3.0, (20, 11)).astype(np.float32)
    expected = score(pool_maps_of_images(new, shown), seen).raw_score
    found = ImageScoreGraph(score)(*map(torch.from_numpy, (new, seen, shown)))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
