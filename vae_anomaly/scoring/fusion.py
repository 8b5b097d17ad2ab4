"""From several kinds of evidence to one score: each as -log p of training values, weighted, added.

Evidence comes in units that do not compare: distances, ratios, nats. Each term is turned into the
surprise ``P = -log p`` of its value among the values that training rows got without themselves, in
nats, and continued beyond the largest. The fused score is their weighted sum, in nats: Fisher's way
of combining p-values. Models of earlier versions added squares, ``(sum of weight * P^2)^(1/2)``;
they keep that as their power.

References
----------
Fisher, Statistical Methods for Research Workers, 1925, section 21.1 (adding -log p).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import AnyArray, Arrays, Floats
from vae_anomaly.errors import CalibrationError
from vae_anomaly.words import number_of

TAIL_SHARE = 0.1
MIN_TAIL = 3


@dataclass(frozen=True)
class TermSurprise:
    """Turn one kind of evidence into -log p, continuous and strictly increasing.

    Up to the largest tenth of the training values it is ``-log((#{o >= t} + 1) / (n + 1))``, linear
    between two of them; then an exponential tail with the mean excess of that tenth; and beyond
    log(n + 1), where nothing has been seen, it grows by its logarithm only.

    Parameters
    ----------
    levels, nats : ndarray of shape (m,), float64
        Distinct training values up to the tail, ascending, and their surprise.
    scale : float
        Mean excess of the tail, in the evidence's unit.
    end : float, nats
        log(n + 1).
    spread : float
        Unit of the evidence below its smallest training value.
    """

    levels: Floats
    nats: Floats
    scale: float
    end: float
    spread: float

    @classmethod
    def fit(cls, values: ArrayLike) -> Self:
        """Learn from the evidence (n,) of training rows that were left out of it.

        Raises `CalibrationError` if there is no value, or one is not finite.
        """
        ordered = np.sort(np.asarray(values, dtype=np.float64))
        n = ordered.size
        if n == 0 or not np.isfinite(ordered).all():
            raise CalibrationError(
                f"A term needs at least 1 finite training value; got {number_of(n, 'value')}, "
                f"{int(np.sum(~np.isfinite(ordered)))} of them not finite. Check the training rows."
            )
        k = int(min(max(MIN_TAIL, TAIL_SHARE * n), n - 1))
        body, tail = ordered[: n - k], ordered[n - k :]
        excess = float(np.mean(tail - body[-1])) if k else 0.0
        spread = float(ordered.std()) or max(abs(float(ordered[0])), 1e-9)
        levels, first = np.unique(body, return_index=True)
        return cls(
            levels=levels,
            nats=np.log((n + 1.0) / (n - first + 1.0)) + 1.0 / (n + 1.0),
            scale=excess if excess > 0.0 else spread,
            end=float(np.log(n + 1.0)),
            spread=spread,
        )

    def __call__(self, values: ArrayLike) -> Floats:
        """Return the surprise of each value, nats, > 0, float64; higher = more anomalous."""
        given = np.asarray(values, dtype=np.float64)
        surprise = np.interp(given, self.levels, self.nats)
        below = np.minimum(given - self.levels[0], 0.0) / self.spread
        surprise = surprise * np.exp(np.maximum(below, -600.0))
        surprise += np.maximum(given - self.levels[-1], 0.0) / self.scale
        beyond = np.log1p(np.maximum(surprise - self.end, 0.0))
        return np.asarray(np.minimum(surprise, self.end) + beyond)

    def state(self) -> Arrays:
        """Return the arrays that `from_state` needs."""
        rest = np.array([self.scale, self.end, self.spread])
        return {"levels": self.levels, "nats": self.nats, "rest": rest}

    @classmethod
    def from_state(cls, arrays: Mapping[str, AnyArray]) -> Self:
        """Make it again."""
        return cls(arrays["levels"], arrays["nats"], *arrays["rest"].tolist())


def fuse(terms: Mapping[str, Floats], weights: Mapping[str, float], power: float = 1.0) -> Floats:
    """Return ``(sum of weight * P^power)^(1 / power)``, (N,), nats; higher = more anomalous.

    ``terms`` has the surprise P >= 0 of each term, (N,), nats; ``weights`` one for every term.
    """
    total = sum(weights[name] * surprise**power for name, surprise in terms.items())
    return np.asarray(total, dtype=np.float64) ** (1.0 / power)


def term_contributions(
    terms: Mapping[str, Floats], weights: Mapping[str, float], power: float = 1.0
) -> dict[str, Floats]:
    """Return what each term adds to the fused score: they sum to it, row by row, nats.

    A term's part of the score is its part of the sum of powers.
    """
    score = fuse(terms, weights, power)
    unit = np.where(score > 0.0, score, 1.0) ** (power - 1.0)
    return {name: weights[name] * p**power / unit for name, p in terms.items()}
