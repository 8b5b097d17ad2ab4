"""Operating points that an owner can choose between, in one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.metrics import Interval, checked_labels, checked_scores, is_flagged
from vae_anomaly.thresholds.basis import p_bound
from vae_anomaly.thresholds.catalogue import needs_labels, policy_title
from vae_anomaly.thresholds.conformal import calibration_units, rate_above, smallest_fpr
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.threshold import Threshold

_FIGURES: Final = ("fpr", "alarms_per_day", "precision", "recall", "cost")
_UNKNOWN: Final = Interval(math.nan, math.nan, math.nan)
_TARGETS: Final = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)  # false-positive rates


def candidate_table(
    scores: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    chosen: Threshold | None = None,
    volume: float | None = None,
    groups: ArrayLike | None = None,
    targets: Sequence[float] = _TARGETS,
    costs: Floats | None = None,
    others: Sequence[Threshold] = (),
    measure: Callable[[Threshold], Threshold] | None = None,
) -> pd.DataFrame:
    """Tabulate operating points that an owner can choose between.

    Parameters
    ----------
    scores : array-like of shape (N,)
        Without labels all are taken as normal; with labels the normals among them set the rates.
    labels : array-like of shape (N,), optional, 1 = anomaly
        Adds recall and precision, and the F1 and Youden points.
    chosen : Threshold, optional
        Added and marked.
    volume : float, optional
        Items a day; adds false alarms a day.
    groups : array-like of shape (N,), optional
        As in `Threshold.from_fpr`.
    targets : sequence of float
        False-positive rates; those that the normals cannot support are left out.
    costs : ndarray of shape (N,), optional
        What a mistake on each item costs; with labels, adds the cost per item.
    others : sequence of Threshold
        More points, for example the one in force.
    measure : callable, optional
        Fills in the figures of a threshold, where labels are not simply there.

    Returns
    -------
    table : DataFrame
        Figures of each bound as it stands, on these items, so that rows can be compared: nested
        figures of labelled policies (`Threshold.from_labels`) stay with the threshold itself.
        One row per point, strictest first: ``policy, threshold, p_value, extrapolated, chosen``
        and ``fpr, alarms_per_day, precision, recall, cost``, each with ``_low`` and ``_high``.

    Raises
    ------
    CalibrationError
        If a score is not finite or a class is absent.
    """
    s = checked_scores(scores)
    y = None if labels is None else checked_labels(labels, s.size)
    members = None if groups is None else np.asarray(groups).reshape(-1)
    normal = np.ones(s.size, dtype=np.bool_) if y is None else ~y
    inner = None if members is None else members[normal]
    supported = smallest_fpr(calibration_units(int(normal.sum()), inner).count)
    points = [
        Threshold.from_fpr(s[normal], fpr, groups=inner) for fpr in targets if fpr >= supported
    ]
    if y is not None:
        points += [Threshold.from_labels(s, y, rule, groups=members) for rule in ("f1", "youden")]
    points += [*others, *([chosen] if chosen else [])]
    points = [with_rate(_as_it_stands(t), s[normal], inner) for t in points]
    if measure is not None:
        points = [t if t.expected_recall else measure(t) for t in points]
    elif y is not None:
        points = [_measured(t, s, y, members, costs) for t in points]
    rows = [_row(t, volume) for t in points]
    table = pd.DataFrame(rows).assign(chosen=False)
    if chosen is not None:
        table.loc[len(points) - 1, "chosen"] = True
    return table.sort_values("threshold", ascending=False, ignore_index=True, kind="stable")


def learned_table(
    items: ScoredItems,
    chosen: Threshold,
    normals: ScoredItems,
    *,
    others: Sequence[Threshold] = (),
    volume: float | None = None,
    measure: Callable[[Threshold], Threshold],
) -> pd.DataFrame:
    """Tabulate operating points on the model's scores beside those on what verdicts have taught.

    Parameters
    ----------
    items : ScoredItems
        Of all of them something was learned.
    chosen : Threshold
        On any basis; added and marked.
    normals : ScoredItems
        Those of the items that count as normal, without confirmed anomalies, by their scores.
    others : sequence of Threshold
        More points, for example the one in force.
    volume : float, optional
        Items a day; adds false alarms a day.
    measure : callable
        Fills in the figures of a threshold on its own basis.

    Returns
    -------
    table : DataFrame
        As `candidate_table`, and ``basis``, ``bound`` in words and ``flagged``, the share of all
        items that a point flags: by it the rows are sorted, for bounds on two bases say nothing of
        which is stricter.
    """
    scores, groups = normals.normals, normals.normal_groups
    supported = smallest_fpr(calibration_units(scores.size, groups).count)
    rates = [rate for rate in _TARGETS if rate >= supported]
    points = [Threshold.from_fpr(scores, rate, groups=groups) for rate in rates]
    points += [
        Threshold(value=p_bound(r), policy="fpr", parameters={"fpr": r}, basis="p_combined")
        for r in rates
    ]
    points = [measure(_as_it_stands(t)) for t in (*points, *others, chosen)]
    rows = [
        {**_row(t, volume), "basis": t.basis, "bound": t.bound_text, "flagged": _share(t, items)}
        for t in points
    ]
    table = pd.DataFrame(rows).assign(chosen=False)
    table.loc[len(points) - 1, "chosen"] = True
    same = (table["bound"] == chosen.bound_text) & ~table["chosen"]  # the chosen one says it
    return table[~same].sort_values(["flagged", "basis"], ignore_index=True, kind="stable")


def _share(threshold: Threshold, items: ScoredItems) -> float:
    return float(is_flagged(items.on(threshold.basis).scores, threshold.value).mean())


def _as_it_stands(threshold: Threshold) -> Threshold:
    """Forget figures that were measured on other bounds than this one."""
    if not needs_labels(threshold.policy):
        return threshold
    unknown = {f"expected_{name}": None for name in ("fpr", "recall", "precision", "cost")}
    return threshold.changed(**unknown)


def with_rate(threshold: Threshold, normals: Floats, groups: AnyArray | None) -> Threshold:
    """Fill in the false-positive rate of a policy that does not set it."""
    if threshold.expected_fpr is not None:
        return threshold
    rate = rate_above(normals, threshold.value, groups)  # as `from_fpr`: rows can be compared
    return threshold.changed(expected_fpr=rate, n_normals=normals.size)


def _measured(
    threshold: Threshold,
    scores: Floats,
    labels: Bools,
    groups: AnyArray | None,
    costs: Floats | None,
) -> Threshold:
    """Fill in what labels can tell of a threshold and its policy has not told."""
    if threshold.expected_recall and (costs is None or threshold.expected_cost):
        return threshold
    measured = threshold.measured(scores, labels, groups=groups, costs=costs)
    if not threshold.expected_recall:
        return measured
    return threshold.changed(expected_cost=measured.expected_cost)


def _row(threshold: Threshold, volume: float | None) -> dict[str, object]:
    row: dict[str, object] = {
        "policy": policy_title(threshold.policy, threshold.parameters),
        "threshold": threshold.value,
        "p_value": threshold.p_value,
        "extrapolated": threshold.extrapolated,
    }
    known = threshold.figures(volume)
    for name in _FIGURES:
        figure = known.get(name, _UNKNOWN)
        row |= {name: figure.estimate, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return row
