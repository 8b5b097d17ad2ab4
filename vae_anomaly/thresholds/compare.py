"""Two thresholds on the same scores: what each costs, what differs, which items change side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.metrics import (
    Interval,
    checked_labels,
    checked_scores,
    is_flagged,
    proportion_interval,
)
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.rules import TWO_SIDED, resampled_sums, share_of
from vae_anomaly.thresholds.threshold import Threshold

Figures = tuple[Interval, Interval, Interval]
_N_DRAWS = 1000


class Sides(NamedTuple):
    """Of the same items, how many two sides flagged."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @classmethod
    def of(cls, a: Bools, b: Bools) -> Sides:
        """Count the flags of both sides, each of shape (N,)."""
        return cls(int((a & b).sum()), int((a & ~b).sum()), int((b & ~a).sum()),
                   int((~a & ~b).sum()))  # fmt: skip


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
    figures: dict[str, Figures]


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
    s = checked_scores(items.on("score").scores)
    y = None if items.labels is None else checked_labels(items.labels, s.size)
    bad = np.zeros(s.size, dtype=np.bool_) if y is None else y
    flags = _flags(items, a), _flags(items, b)
    changed, sides = flags[0] != flags[1], Sides.of(*flags)
    draws = _Draws(items.groups, random_state)
    figures = {"fpr": _shares(flags, ~bad, draws)}
    if volume is not None:
        one, other, difference = (figure.scaled(volume) for figure in figures["fpr"])
        figures["alarms_per_day"] = one, other, difference
    if y is not None:
        figures["recall"] = _shares(flags, y, draws)
        figures["precision"] = _precision(flags, y, draws)
        if costs is not None:
            wrong = [costs * (f != y) for f in flags]
            figures["cost"] = _ratios([(w, np.ones(s.size)) for w in wrong], draws)
    first = np.flatnonzero(changed)[np.argsort(-s[changed], kind="stable")][:5]
    return Comparison(
        a=a,
        b=b,
        n=s.size,
        n_normals=int((~bad).sum()),
        n_anomalies=int(bad.sum()),
        only_a=sides.only_a,
        only_b=sides.only_b,
        both=sides.both,
        moved={"normal": int((changed & ~bad).sum()), "anomaly": int((changed & bad).sum())},
        examples=tuple(str(name) for name in items.ids[first]),
        figures=figures,
    )


def _flags(items: ScoredItems, threshold: Threshold) -> Bools:
    return is_flagged(items.on(threshold.basis).scores, threshold.value)


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


class _Draws(NamedTuple):
    """How items are resampled: one by one, or in whole groups."""

    groups: AnyArray | None
    random_state: int


def _ratios(pairs: Sequence[tuple[AnyArray, AnyArray]], draws: _Draws) -> Figures:
    """Return two ratios of sums and their difference, from the same resamples."""
    parts = [part for pair in pairs for part in pair]
    drawn = resampled_sums(parts, draws.groups, _N_DRAWS, draws.random_state)
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
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(known, TWO_SIDED)
    return Interval(float(point), min(float(low), float(point)), max(float(high), float(point)))


def _shares(flags: tuple[Bools, Bools], of: Bools, draws: _Draws) -> Figures:
    """Return the share flagged by each and their difference: exact, or by resampled groups."""
    one, other = (share_of(of, f, draws.groups) for f in flags)
    if draws.groups is not None:
        return one, other, _ratios([(f & of, of) for f in flags], draws)[2]
    if (flags[0] & ~flags[1]).any() and (flags[1] & ~flags[0]).any():
        return one, other, _ratios([(f & of, of) for f in flags], draws)[2]  # on two bases
    n, counts = float(of.sum()), [float((f & of).sum()) for f in flags]
    between = proportion_interval(abs(counts[1] - counts[0]), n)  # flags of one contain the other's
    if counts[0] == counts[1] and np.array_equal(*flags):
        between = Interval(0.0, 0.0, 0.0)
    if counts[1] < counts[0]:
        between = Interval(-between.estimate, -between.high, -between.low)
    return one, other, between


def _precision(flags: tuple[Bools, Bools], odd: Bools, draws: _Draws) -> Figures:
    """Return the precision of each, exact or by groups, and their difference by resampling."""
    *unknown, differ = _ratios([(f & odd, f) for f in flags], draws)
    one, other = (
        share_of(f, odd, draws.groups) if f.any() else nothing
        for f, nothing in zip(flags, unknown, strict=True)
    )
    return one, other, differ
