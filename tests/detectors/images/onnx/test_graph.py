"""The graphs of score and calibration say what their NumPy twins say, in the tails as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_anomaly.detectors.images.onnx.graph import (
    CalibrationGraph,
)
from vae_anomaly.scoring.conformal import ConformalCalibration


@pytest.mark.parametrize("heavy", [False, True], ids=["exponential", "pareto"])
@pytest.mark.parametrize("n", [1, 9, 300])
def test_the_graph_of_a_calibration_is_exact_inside_and_far_outside(rng, n, heavy):
    scores = rng.pareto(1.5, n) if heavy else rng.uniform(0.0, 3.0, n)
    calibration = ConformalCalibration.fit(scores)
    raw = np.r_[np.linspace(-20.0, 200.0, 2001), scores]
    score, p_value = CalibrationGraph(calibration)(torch.from_numpy(raw))
    np.testing.assert_allclose(score.numpy(), calibration.anomaly_score(raw), atol=1e-9)
    np.testing.assert_array_equal(p_value.numpy(), calibration.p_value(raw))
