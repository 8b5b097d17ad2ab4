"""Pooling: exact counts, and honest surprises of held-out maps."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors.images.score.pooling import (
    SHOWN_FROM,
    SHOWN_VOTES,
    TailPooling,
    local_sum,
    pool_maps,
)
from vae_anomaly.detectors.images.score.surprise import PoolSurprise


def test_pools_are_means_of_the_highest_cells():
    maps = np.arange(200.0).reshape(1, 10, 20)
    found = pool_maps(maps, (0.001, 0.01, 0.1, 1.0))
    np.testing.assert_allclose(found, [[199.0, 198.5, 189.5, 99.5]])


def test_pools_do_not_depend_on_where_the_cells_are(rng):
    maps = rng.normal(size=(3, 16, 16))
    mixed = rng.permuted(maps.reshape(3, -1), axis=1).reshape(3, 16, 16)
    np.testing.assert_allclose(pool_maps(maps), pool_maps(mixed))


def test_leave_one_out_of_all_pools_keeps_the_order_of_the_images(rng):
    pooled = rng.normal(size=(15, 4))
    found = TailPooling(pooled).leave_one_out()
    expected = [
        [PoolSurprise(np.delete(pooled[:, j], i))(pooled[i : i + 1, j])[0] for j in range(4)]
        for i in range(15)
    ]
    np.testing.assert_allclose(found, expected)


def test_held_out_and_new_normals_get_the_same_distribution_of_scores(rng):
    """The point of leaving one out: without it held-out scores would be too low."""
    held_out, fresh = rng.normal(size=(40, 4)), rng.normal(size=(20_000, 4))
    pooling = TailPooling(held_out)
    raw = pooling.leave_one_out().sum(1)
    assert raw.mean() == pytest.approx(pooling(fresh).sum(1).mean(), rel=0.15)


def test_the_shown_map_counts_only_beyond_one_in_ten():
    shown = np.array([[SHOWN_FROM - 0.1], [SHOWN_FROM + 1.0]])
    found = local_sum(np.hstack([np.ones((2, 4)), shown]))
    np.testing.assert_allclose(found, [4.0, 4.0 + SHOWN_VOTES])
