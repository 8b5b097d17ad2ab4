"""The graph of a score says what its NumPy twin says, for blank frames as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_anomaly.detectors.images.features.whole_image import N_LAYOUT
from vae_anomaly.detectors.images.onnx.score_graph import score_graph
from vae_anomaly.detectors.images.score.earlier import EarlierScore
from vae_anomaly.detectors.images.score.image_score import ImageScore
from vae_anomaly.detectors.images.score.judges import GlobalDistance
from vae_anomaly.detectors.images.score.pooling import TailPooling, pool_maps_of_images
from vae_anomaly.detectors.images.score.surprise import PoolSurprise


def fit(kind, pooled, statistics):
    rows = np.arange(len(pooled))
    if kind is ImageScore:
        return ImageScore.fit(pooled, statistics, rows % 5, rows)[0]
    distance = GlobalDistance.fit(statistics[:, :11])
    return EarlierScore(TailPooling(pooled), distance, PoolSurprise(distance(statistics)))


@pytest.mark.parametrize("two_maps", [False, True], ids=["one map", "two maps"])
@pytest.mark.parametrize("kind", [ImageScore, EarlierScore])
def test_the_graph_of_an_image_score_is_exact(rng, kind, two_maps):
    heat, other = rng.normal(size=(2, 30, 16, 16)).astype(np.float32)
    part = np.sin(np.arange(15 + N_LAYOUT))
    statistics = (part + rng.normal(size=(30, len(part)))).astype(np.float32)
    score = fit(kind, pool_maps_of_images(heat, other if two_maps else None), statistics)
    new, shown = rng.normal(1.0, 4.0, (2, 20, 16, 16)).astype(np.float32)
    seen = (part * rng.normal(0.0, 2.0, (20, 1)) + rng.normal(size=(20, 1))).astype(np.float32)
    seen[0] = 0.0  # a blank frame has no layout
    expected = score(pool_maps_of_images(new, shown), seen).raw_score
    found = score_graph(score)(*map(torch.from_numpy, (new, seen, shown)))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_the_graph_knows_what_is_usual_of_each_material(rng):
    material = np.arange(60) % 2
    unit = (1.0 + 3.0 * material)[:, None]
    heat = (unit[:, None] * rng.normal(size=(60, 16, 16))).astype(np.float32)
    peaks = (unit * rng.gamma(9.0, 0.1, (60, 22))).astype(np.float32)
    statistics = rng.normal(size=(60, 15 + N_LAYOUT)).astype(np.float32)
    pooled, rows = pool_maps_of_images(heat), np.arange(60)
    score = ImageScore.fit(pooled, statistics, rows % 5, rows, peaks, material)[0]
    expected = score(pooled, statistics, peaks, material).raw_score
    graph = score_graph(score)
    maps, numbers, heights, kinds = map(torch.from_numpy, (heat, statistics, peaks, material))
    found = graph(maps, numbers, maps, graph.fine(heights, kinds), kinds)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
    assert not np.allclose(expected, score(pooled, statistics, peaks, 1 - material).raw_score)
