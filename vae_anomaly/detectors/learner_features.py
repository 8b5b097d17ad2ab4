"""What a learner of verdicts is given of examined items: their score and what speaks for it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vae_anomaly.arrays import Floats


_RIDGE: Final = 3.0
_RIDGE_OF_IMAGES: Final = 50.0
_OF_IMAGES: Final = "heat_top_"  # begins what is read from a map, which every image model has


class Learnable(Protocol):
    """What both wings' examinations offer to a learner."""

    @property
    def raw_score(self) -> Floats:
        """The score that is calibrated, (N,), nats."""

    def evidence_to_learn(self) -> tuple[tuple[str, ...], Floats]:
        """Return names (F,) and values (N, F) of what else is known of the items."""


def learner_features(examination: Learnable) -> tuple[tuple[str, ...], Floats]:
    """Return the features by which reviewers' verdicts on items teach about others.

    Parameters
    ----------
    examination : TableExamination or ImageExamination
        Of rows the features are the terms of the score and the encoded columns (``amount``,
        ``country=DE``); of images -log p of the poolings of the map and of the judges of the whole
        image.

    Returns
    -------
    names : tuple of F str
        Each once; the first is ``raw_score``. Those of one model are always the same.
    features : ndarray of shape (N, F), float64
        Column 0 is the raw score, nats; NaN in others is a value that is missing.
    """
    names, evidence = examination.evidence_to_learn()
    features = np.column_stack([examination.raw_score, evidence]).astype(np.float64)
    features[:, 1:][~np.isfinite(features[:, 1:])] = np.nan
    return _each_once(["raw_score", *names]), features


def ridge_for(names: Sequence[str]) -> float:
    """Return the weight that a learner's head gives to its prior, for features of such names.

    Of images most evidence repeats the score, and verdicts are few: the score is trusted more, so
    that what verdicts cannot teach costs nothing.
    """
    return _RIDGE_OF_IMAGES if any(name.startswith(_OF_IMAGES) for name in names) else _RIDGE


def _each_once(names: Sequence[str]) -> tuple[str, ...]:
    """Give names that come again a number: a category ``other`` and all others, for one."""
    seen: Counter[str] = Counter()
    once = []
    for name in names:
        seen[name] += 1
        once.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(once)
