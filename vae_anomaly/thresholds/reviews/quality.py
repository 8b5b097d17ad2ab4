"""What flags are worth over all items, estimated from the reviewed ones, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats, Indices
from vae_anomaly.metrics import Interval
from vae_anomaly.thresholds.rules import TWO_SIDED, FlagQuality

_N_DRAWS = 1000


@dataclass(frozen=True)
class _Totals:
    """Estimated counts over all items; each a number, or one for each draw."""

    tp: Floats
    fp: Floats
    fn: Floats
    tn: Floats
    missed: Floats  # amount at stake in what was missed

    def figures(self, costs: tuple[float, float] | None) -> dict[str, Floats]:
        with np.errstate(invalid="ignore", divide="ignore"):
            figures = {
                "fpr": self.fp / (self.fp + self.tn),
                "recall": self.tp / (self.tp + self.fn),
                "precision": self.tp / (self.tp + self.fp),
            }
        if costs is not None:
            everything = self.tp + self.fp + self.fn + self.tn
            figures["cost"] = (costs[0] * self.fp + costs[1] * self.missed) / everything
        return figures


def reviewed_quality(
    flags: Bools,
    labels: Bools,
    stratum: Indices,
    sizes: Mapping[int, tuple[int, int]],
    *,
    unseen: int = 0,
    groups: AnyArray | None = None,
    amounts: Floats | None = None,
    costs: tuple[float, float] | None = None,
    random_state: int = 0,
) -> FlagQuality:
    """Estimate what flags are worth over all items from the M reviewed ones.

    The share of anomalies in a stratum has its Jeffreys posterior, so that an audit that found
    nothing does not claim that there is nothing.

    Parameters
    ----------
    stratum : ndarray of shape (M,), int
        Items of one stratum were equally likely to be reviewed; below 0 = reviewed by choice.
    sizes : mapping of int to (int, int)
        All items of each stratum, unflagged and flagged.
    unseen : int
        Unflagged items that no reviewed one stands for: they count as normal, and recall and cost
        are None.
    groups : ndarray of shape (M,), optional
        Widens the intervals by resampling whole groups.
    costs : (float, float), optional
        Of a false alarm, and of a miss (per unit of amount).

    References
    ----------
    Brown, Cai and DasGupta, Interval estimation for a binomial proportion, 2001 (Jeffreys). Rubin,
    The Bayesian bootstrap, 1981 (amounts).
    """
    generator = np.random.default_rng(random_state)
    stake = np.ones(flags.size) if amounts is None else amounts
    cells, weights = [], np.ones(flags.size)  # how many items each reviewed one stands for
    for each, counts in {-1: counted(flags, stratum < 0), **sizes}.items():
        inside = stratum == each
        for flag, size in enumerate(counts):
            cell = inside & (flags == bool(flag))
            weights[cell] = size / max(cell.sum(), 1)
            if size:
                cells.append(_cell(bool(flag), size, inside, cell, labels, stake, generator))
    point, drawn = (_sum([part[i] for part in cells], unseen) for i in (0, 1))
    values, sources = point.figures(costs), [drawn.figures(costs)]
    if groups is not None:
        by_group = _by_group(flags, labels, weights, stake, unseen, groups, generator)
        sources.append(by_group.figures(costs))

    def known(name: str) -> Interval | None:
        blind = unseen > 0 and name in {"recall", "cost"}
        if blind or name not in values or not np.isfinite(values[name]):
            return None
        return _interval(float(values[name]), [figures[name] for figures in sources])

    rate = known("fpr") or Interval(0.0, 0.0, 1.0)
    return FlagQuality(rate, known("recall"), known("precision"), known("cost"))


def counted(flags: Bools, of: Bools) -> tuple[int, int]:
    """Return how many of some items are not flagged, and how many are."""
    return int((of & ~flags).sum()), int((of & flags).sum())


def _cell(
    flag: bool,
    size: int,
    inside: Bools,
    cell: Bools,
    labels: Bools,
    stake: Floats,
    generator: np.random.Generator,
) -> tuple[_Totals, _Totals]:
    """Return estimate and draws of what a cell (of one stratum, flagged or not) adds.

    A cell in which nothing was reviewed takes its stratum's share, and draws that know nothing.
    """
    r, a = int(cell.sum()), int((cell & labels).sum())
    near = cell if r else inside
    share = float(labels[near].mean())
    amount = stake[near & labels] if (near & labels).any() else stake[near]
    shares = generator.beta(a + 0.5, r - a + 0.5, _N_DRAWS)
    many = generator.gamma(size, 1.0, _N_DRAWS)
    means = np.full(_N_DRAWS, amount.mean())
    if np.ptp(amount) > 0:
        means = generator.dirichlet(np.ones(amount.size), _N_DRAWS) @ amount
    point = (np.asarray(number, np.float64) for number in (size, share, amount.mean()))
    return _parts(flag, *point), _parts(flag, many, shares, means)


def _parts(flagged: bool, size: Floats, share: Floats, mean: Floats) -> _Totals:
    bad, good, none = size * share, size * (1 - share), 0.0 * size
    if flagged:
        return _Totals(tp=bad, fp=good, fn=none, tn=none, missed=none)
    return _Totals(tp=none, fp=none, fn=bad, tn=good, missed=bad * mean)


def _sum(parts: list[_Totals], unseen: int) -> _Totals:
    names = (field.name for field in fields(_Totals))
    sums = {
        name: np.asarray(sum(getattr(part, name) for part in parts), np.float64) for name in names
    }
    return replace(_Totals(**sums), tn=sums["tn"] + unseen)


def _by_group(
    flags: Bools,
    labels: Bools,
    weights: Floats,
    stake: Floats,
    unseen: int,
    groups: AnyArray,
    generator: np.random.Generator,
) -> _Totals:
    """Return draws of the counts over resampled groups."""
    unit = np.unique(groups, return_inverse=True)[1]
    of_item = {
        "tp": weights * (flags & labels),
        "fp": weights * (flags & ~labels),
        "fn": weights * (~flags & labels),
        "tn": weights * (~flags & ~labels),
        "missed": weights * stake * (~flags & labels),
    }
    n = int(unit.max()) + 1
    times = generator.multinomial(n, np.full(n, 1 / n), _N_DRAWS)  # (R, G)
    sums = {name: np.bincount(unit, part) for name, part in of_item.items()}
    totals = _Totals(**{name: np.asarray(times @ s, np.float64) for name, s in sums.items()})
    return replace(totals, tn=totals.tn + unseen)


def _interval(estimate: float, sources: list[Floats]) -> Interval:
    """Return the widest interval of several sets of draws, which holds the estimate."""
    ends = [
        np.quantile(draws[np.isfinite(draws)], TWO_SIDED)
        for draws in sources
        if np.isfinite(draws).any()
    ]
    low = min([estimate, *(float(end[0]) for end in ends)])
    high = max([estimate, *(float(end[1]) for end in ends)])
    return Interval(estimate, low, high)
