"""What a mistake on each item costs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.errors import ConfigError


def checked_costs(
    cost_fp: float, cost_fn: float, labels: Bools, amounts: ArrayLike | None = None
) -> Floats:
    """Return what a mistake on each item costs.

    Parameters
    ----------
    cost_fp, cost_fn : float >= 0
        Of a false alarm, and of a miss (per unit of amount).
    labels : ndarray of shape (N,), bool
    amounts : array-like of shape (N,), optional

    Returns
    -------
    costs : ndarray of shape (N,), float64

    Raises
    ------
    ConfigError
        If a cost or an amount is negative or not finite, or both costs are 0.
    """
    if not (cost_fp >= 0 and cost_fn >= 0 and 0 < cost_fp + cost_fn < math.inf):
        raise ConfigError(
            f"Costs must be 0 or more and not both 0; got a false alarm at {cost_fp:g} and a "
            f"miss at {cost_fn:g}. Try --cost-fp 1 --cost-fn 50."
        )
    stake = np.ones(labels.size) if amounts is None else _checked_amounts(amounts, labels.size)
    return np.where(labels, cost_fn * stake, cost_fp)


def _checked_amounts(amounts: ArrayLike, n: int) -> Floats:
    stake = np.asarray(amounts, dtype=np.float64).reshape(-1)
    if stake.size != n or not np.isfinite(stake).all() or stake.min() < 0:
        raise ConfigError(
            f"Each of {n} items needs an amount of 0 or more; got {stake.size} amounts, "
            f"{int(np.sum(~(stake >= 0)))} of them negative or missing. Clean the column."
        )
    return stake
