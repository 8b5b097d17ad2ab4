"""A surprise as a graph is the surprise, in the tails as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_anomaly.detectors.images.onnx.piecewise import PiecewiseLinear, PredictiveGraph
from vae_anomaly.detectors.images.score.surprise import (
    PoolSurprise,
    PredictiveSurprise,
    RankSurprise,
)


@pytest.mark.parametrize("n", [1, 2, 15, 400])
@pytest.mark.parametrize("kind", [PoolSurprise, RankSurprise, PredictiveSurprise])
def test_the_graph_of_a_surprise_is_exact_inside_and_far_outside(rng, n, kind):
    surprise = kind(rng.gamma(2.0, 3.0, n).round(2))  # rounded: some values are tied
    values = np.r_[np.linspace(-50.0, 500.0, 3001), surprise.reference]
    graph = PiecewiseLinear.of_surprise if kind is PoolSurprise else PredictiveGraph
    found = graph(surprise)(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(found, surprise(values), rtol=1e-9, atol=1e-9)
