"""Two thresholds on the same scores: what each costs, what differs, which items change side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats, Indices
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.metrics import (
    Interval,
    checked_labels,
    checked_scores,
    grouped_interval,
    proportion_interval,
)
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.threshold import Threshold

_N_DRAWS = 1000
_LEVEL = 0.95


@dataclass(frozen=True)
class Comparison:
    """Two thresholds side by side.

    Parameters
    ----------
    n, n_normals, n_anomalies : int
        Items; without labels all count as normal.
    only_a, only_b, both : int
        Items flagged by one only, or by both.
    moved : dict of str to int
        Of the items that change side: by label, ``normal`` and ``anomaly``.
    examples : tuple of str
        Ids of items that change side, the highest scores first.
    figures : dict of str to (Interval, Interval, Interval)
        ``fpr, alarms_per_day, recall, precision, cost`` of a, of b, and b minus a (on the same
        items, so the difference is surer than the two figures).
    """

    a: Threshold
    b: Threshold
    n: int
    n_normals: int
    n_anomalies: int
    only_a: int
    only_b: int
    both: int
    moved: dict[str, int]
    examples: tuple[str, ...]
    figures: dict[str, tuple[Interval, Interval, Interval]]


def compare(
    items: ScoredItems,
    a: Threshold,
    b: Threshold,
    *,
    volume: float | None = None,
    costs: Floats | None = None,
    random_state: int = 0,
) -> Comparison:
    """Compare two thresholds on the same items.

    Parameters
    ----------
    items : ScoredItems
        With groups, intervals resample whole groups.
    volume : float, optional
        Good items a day; adds false alarms a day.
    costs : ndarray of shape (N,), optional
        What a mistake on each item costs; with labels, adds the cost per item.
    random_state : int
        Of the bootstrap.

    Raises
    ------
    CalibrationError
        If a score is not finite, or labels hold one class only.
    """
    s = checked_scores(items.scores)
    y = None if items.labels is None else checked_labels(items.labels, s.size)
    bad = np.zeros(s.size, dtype=np.bool_) if y is None else y
    flags = s > a.value, s > b.value
    changed = flags[0] != flags[1]
    resampled = _Resampled.of(items.groups, s.size, random_state)
    figures = {"fpr": _shares(flags, ~bad, resampled)}
    if volume is not None:
        figures["alarms_per_day"] = _scaled(figures["fpr"], volume)
    if y is not None:
        figures["recall"] = _shares(flags, y, resampled)
        figures["precision"] = _precision(flags, y, resampled)
        if costs is not None:
            wrong = [costs * (f != y) for f in flags]
            figures["cost"] = _ratios([(w, np.ones(s.size)) for w in wrong], resampled)
    first = np.flatnonzero(changed)[np.argsort(-s[changed], kind="stable")][:5]
    return Comparison(
        a=a,
        b=b,
        n=s.size,
        n_normals=int((~bad).sum()),
        n_anomalies=int(bad.sum()),
        only_a=int((flags[0] & ~flags[1]).sum()),
        only_b=int((flags[1] & ~flags[0]).sum()),
        both=int((flags[0] & flags[1]).sum()),
        moved={"normal": int((changed & ~bad).sum()), "anomaly": int((changed & bad).sum())},
        examples=tuple(str(name) for name in items.ids[first]),
        figures=figures,
    )


def require_same_scale(a: Threshold, b: Threshold) -> None:
    """Refuse thresholds that were made for scores of different meaning.

    Raises
    ------
    ModelRefusedError
        If both say which model they were made for, and the scores of the two differ.
    """
    models = [t.model_version.rpartition("#") for t in (a, b)]
    if all(mark for _, mark, _ in models) and models[0][2] != models[1][2]:
        raise ModelRefusedError(
            f"One threshold was made for {models[0][0]}, the other for {models[1][0]}, whose "
            "scores mean something else. Compare models with: vae-anomaly evaluate."
        )


@dataclass(frozen=True)
class _Resampled:
    """Sums over resampled items, or over resampled groups of them."""

    unit: Indices
    random_state: int
    grouped: bool

    @classmethod
    def of(cls, groups: AnyArray | None, n: int, random_state: int) -> _Resampled:
        unit = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
        return cls(unit, random_state, groups is not None)

    def sums(self, parts: Sequence[AnyArray]) -> Floats:
        """Return the sums of the parts in every resample, shape (R, P)."""
        of_unit = np.stack([np.bincount(self.unit, part) for part in parts], axis=1)  # (K, P)
        kinds, count = np.unique(of_unit, axis=0, return_counts=True)
        generator = np.random.default_rng(self.random_state)
        times = generator.multinomial(len(of_unit), count / len(of_unit), _N_DRAWS)
        return np.asarray(times @ kinds, dtype=np.float64)


def _ratios(
    pairs: Sequence[tuple[AnyArray, AnyArray]], resampled: _Resampled
) -> tuple[Interval, Interval, Interval]:
    """Return two ratios of sums and their difference, from the same resamples."""
    (over_a, of_a), (over_b, of_b) = pairs
    drawn = resampled.sums([over_a, of_a, over_b, of_b])
    with np.errstate(invalid="ignore", divide="ignore"):
        one, other = drawn[:, 0] / drawn[:, 1], drawn[:, 2] / drawn[:, 3]
        points = [np.sum(part) / np.sum(of) for part, of in pairs]
    return (
        _spread(points[0], one),
        _spread(points[1], other),
        _spread(points[1] - points[0], other - one),
    )


def _spread(point: float, draws: Floats) -> Interval:
    known = draws[np.isfinite(draws)]
    if not np.isfinite(point) or not known.size:
        return Interval(float("nan"), float("nan"), float("nan"), _LEVEL)
    low, high = np.quantile(known, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(float(point), min(float(low), float(point)), max(float(high), float(point)))


def _shares(
    flags: tuple[Bools, Bools], of: Bools, resampled: _Resampled
) -> tuple[Interval, Interval, Interval]:
    """Return the share flagged by each and their difference: exact, or by resampled groups."""
    if resampled.grouped:
        _, _, differ = _ratios([(f & of, of) for f in flags], resampled)
        one, other = (grouped_interval(f & of, of, resampled.unit) for f in flags)
        return one, other, differ
    n, counts = float(of.sum()), [float((f & of).sum()) for f in flags]
    between = proportion_interval(abs(counts[1] - counts[0]), n)  # flags of one contain the other's
    rises = counts[1] >= counts[0]
    if counts[0] == counts[1] and np.array_equal(*flags):
        between = Interval(0.0, 0.0, 0.0)
    differ = between if rises else Interval(-between.estimate, -between.high, -between.low)
    return proportion_interval(counts[0], n), proportion_interval(counts[1], n), differ


def _precision(
    flags: tuple[Bools, Bools], odd: Bools, resampled: _Resampled
) -> tuple[Interval, Interval, Interval]:
    """Return the precision of each, exact or by groups, and their difference by resampling."""
    one, other, differ = _ratios([(f & odd, f) for f in flags], resampled)
    sides = [
        point
        if not f.any()
        else grouped_interval(f & odd, f, resampled.unit)
        if resampled.grouped
        else proportion_interval(float((f & odd).sum()), float(f.sum()))
        for f, point in zip(flags, (one, other), strict=True)
    ]
    return sides[0], sides[1], differ


def _scaled(
    figures: tuple[Interval, Interval, Interval], factor: float
) -> tuple[Interval, Interval, Interval]:
    one, other, difference = figures
    return one.scaled(factor), other.scaled(factor), difference.scaled(factor)
