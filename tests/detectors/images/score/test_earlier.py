"""Models that were saved before the whole image could flag alone keep their sum."""

from __future__ import annotations

import numpy as np

from vae_anomaly.detectors.images.score.earlier import (
    EarlierEvidence,
    EarlierScore,
    score_from_state,
)
from vae_anomaly.detectors.images.score.evidence import GLOBAL_FROM, PoolEvidence
from vae_anomaly.detectors.images.score.judges import GlobalDistance
from vae_anomaly.detectors.images.score.pooling import TailPooling
from vae_anomaly.detectors.images.score.surprise import PoolSurprise


def test_whole_image_counts_only_beyond_one_in_a_hundred():
    whole = np.array([GLOBAL_FROM - 0.1, GLOBAL_FROM + 3.0])
    evidence = EarlierEvidence(PoolEvidence(np.ones((2, 4)), np.zeros((2, 0))), whole)
    np.testing.assert_allclose(evidence.raw_score, [4.0, 7.0])


def test_an_earlier_score_survives_its_state(rng):
    statistics = rng.normal(size=(20, 11))
    distance = GlobalDistance.fit(statistics)
    pooling, surprise = TailPooling(rng.normal(size=(20, 4))), PoolSurprise(distance(statistics))
    score = EarlierScore(pooling, distance, surprise)
    again = score_from_state(score.state())
    pooled, seen = rng.normal(size=(3, 5)), rng.normal(size=(3, 300))
    np.testing.assert_array_equal(again(pooled, seen).raw_score, score(pooled, seen).raw_score)
