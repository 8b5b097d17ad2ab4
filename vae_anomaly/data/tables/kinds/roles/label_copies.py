"""Find columns that hold the answer by what they do: they agree with the label row by row."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools, Ints
from vae_anomaly.data.tables import cells

_MIN_ANOMALIES: Final = 10  # fewer agree by chance
_MAX_KINDS: Final = 100
_AGREES_TWO: Final = 0.95  # of the anomalies and of what the column calls so
_AGREES_MANY: Final = (
    0.995  # of a column with more than two values: one that tells much is none yet
)
_RARE: Final = 0.1
_NEVER_ELSEWHERE: Final = 0.95
_LEAST_SHARE: Final = 0.05  # of the anomalies, that one mode of failure has


def reason_of_copy(series: pd.Series, is_anomaly: Bools) -> str | None:
    """Say how a column repeats the label; None if it does not.

    Parameters
    ----------
    series : Series of length N
    is_anomaly : ndarray of shape (N,), bool
        The label.
    """
    n_anomalies = int(is_anomaly.sum())
    if n_anomalies < _MIN_ANOMALIES or n_anomalies == len(is_anomaly):
        return None
    if not 2 <= series.nunique() <= min(_MAX_KINDS, n_anomalies):
        return None
    codes = np.asarray(pd.factorize(cells.read_text(series))[0], dtype=np.int64)
    return _agrees(codes, is_anomaly) or _implies(codes, is_anomaly)


def _agrees(codes: Ints, is_anomaly: Bools) -> str | None:
    """Compare the label with what the values say of it, each taken for its commoner side."""
    share = np.bincount(codes + 1, is_anomaly) / np.maximum(1, np.bincount(codes + 1))
    told = share[codes + 1] > 0.5
    both = int(np.sum(told & is_anomaly))
    least = _AGREES_TWO if codes.max() == 1 else _AGREES_MANY
    if not told.any() or min(both / told.sum(), both / is_anomaly.sum()) < least:
        return None
    return f"repeats the label in {np.mean(told == is_anomaly):.1%} of rows"


def _implies(codes: Ints, is_anomaly: Bools) -> str | None:
    """Tell whether the rarer of two values comes with rare anomalies only."""
    counts = np.bincount(codes[codes >= 0])
    if len(counts) != 2 or is_anomaly.mean() > _RARE:
        return None
    rare = codes == np.argmin(counts)
    both = int(np.sum(rare & is_anomaly))
    if both < max(_MIN_ANOMALIES, _LEAST_SHARE * is_anomaly.sum()):
        return None
    return (
        f"{both / rare.sum():.0%} of its {rare.sum():,} rarer cells are labelled rows"
        if both / rare.sum() >= _NEVER_ELSEWHERE
        else None
    )
