"""The self-test: how well held-out normals are told from their copies with synthetic defects.

What its figure is worth was measured on 200 models of real, changed and made-up images with known
defects (``benchmarks/self_test.py``): below `BLIND`, 25 of 26 models were blind to these as well
(AUROC below .65); between that and `HARD`, 17 of 34 were, and others reached .87. So only the
first is warned of.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from vae_anomaly.detectors.images.score.pooling import pool_maps
from vae_anomaly.metrics import auroc

if TYPE_CHECKING:
    from torch import Tensor

BLIND: Final = 0.53
"""Below, a model sees no defects: right in nine of ten cases and more."""
HARD: Final = 0.60
"""Below, synthetic defects say little about real ones."""
SELF_TEST: Final = "self_test_auroc"

logger = logging.getLogger(__name__)


def self_test(score_map: Tensor, spoiled: Tensor) -> float:
    """Return how well held-out normals are told from their copies with synthetic defects.

    AUROC of the mean of the hottest 1 % of the maps (n, G, G); 0.5 = no better than chance.
    """
    scores = np.concatenate([pool_maps(h.numpy(), (0.01,))[:, 0] for h in (score_map, spoiled)])
    return auroc(np.repeat([0, 1], len(score_map)), scores)


def warn_if_blind(metrics: Mapping[str, float]) -> None:
    """Warn of a model whose self-test is no better than chance."""
    visible = metrics.get(SELF_TEST, 1.0)
    if visible < BLIND:
        logger.warning(
            "Self-test: this model sees no defects: images with synthetic ones rank above good "
            "ones %.0f %% of the time, and 50 %% is chance. Good parts seem to differ from each "
            "other as much as a defect would. Show them in one pose and light, crop to what they "
            "have in common, or take a larger image_size.",
            100.0 * visible,
        )


def self_test_words(visible: float) -> str:
    """Say the figure of a self-test, and what to make of it."""
    words = (
        f"Self-test: synthetic defects rank above good images {visible:.0%} of the time "
        "(50% is chance)."
    )
    if BLIND <= visible < HARD:
        words += (
            " They are hard to see on these parts, which says little of real ones: "
            "measure on some with `vae-anomaly evaluate`."
        )
    return words
