"""An estimate with its interval, and the exact interval of a share."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

__all__ = ["Interval", "proportion_interval"]


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval around it.

    Parameters
    ----------
    estimate, low, high : float
        In the unit of the figure; ``low <= high``.
    level : float in (0, 1)
        Coverage of the interval.
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95

    def scaled(self, factor: float) -> Interval:
        """Multiply by a positive factor, for example a rate by a daily volume."""
        return Interval(self.estimate * factor, self.low * factor, self.high * factor, self.level)

    def __str__(self) -> str:
        return f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}]"


def proportion_interval(successes: float, total: float, level: float = 0.95) -> Interval:
    """Return a share with its exact (Clopper-Pearson) interval.

    Parameters
    ----------
    successes, total : float
        ``0 <= successes <= total``; with ``total = 0`` the interval is [0, 1].
    level : float in (0, 1)

    Returns
    -------
    interval : Interval in [0, 1]; the estimate is NaN for ``total = 0``

    References
    ----------
    Clopper and Pearson, The use of confidence or fiducial limits, 1934.
    """
    if total == 0:
        return Interval(float("nan"), 0.0, 1.0, level)
    a = (1 - level) / 2
    low = stats.beta.ppf(a, successes, total - successes + 1) if successes > 0 else 0.0
    high = stats.beta.ppf(1 - a, successes + 1, total - successes) if successes < total else 1.0
    return Interval(successes / total, float(low), float(high), level)
