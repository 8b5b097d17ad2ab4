"""How well a detector tells labelled anomalies from normals, at every threshold and at its own.

Of items of one class it is told what that class can show: false alarms of normal ones, finds of
anomalous ones, and how their scores lie.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools, Floats, Objects
from vae_anomaly.evaluation.items import no_labels
from vae_anomaly.evaluation.points import ranking_points
from vae_anomaly.metrics import (
    Interval,
    RankingCurve,
    bootstrap_interval,
    checked_labels,
    checked_scores,
    pixel_figures,
    proportion_interval,
    recall_by_kind,
)
from vae_anomaly.reports.facts.training import RankingPoints
from vae_anomaly.thresholds import Threshold
from vae_anomaly.thresholds.items import Outlines, ScoredItems

N_RESAMPLES = 400
SCORE_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
MANY = 100_000  # items from which the bootstrap draws fewer samples


@dataclass(frozen=True)
class EvaluationReport:
    """What was measured, each figure with its 95 % interval.

    Parameters
    ----------
    threshold : Threshold
        The operating point of the figures at the threshold.
    ranking : dict of str to Interval
        ``auroc, average_precision, fpr_at_95_tpr, partial_auroc`` (left of a false-positive rate of
        10 %, scaled to 0.5 for chance): no threshold is involved. Empty with one class only.
    at_threshold : dict of str to Interval
        ``recall, fpr, precision, f1``; with one class only ``fpr`` or ``recall``.
    kinds : DataFrame
        One row a kind: ``kind, n, flagged, share, low, high``.
    quantiles : dict of str to dict of str to float
        Quantiles of the anomaly scores of each class, "normal" and "anomalous".
    pixels : dict of str to Interval
        ``pixel_auroc, aupro`` where defects are outlined.
    outlines : Outlines, optional
        How many masks these figures stand on, and which are not used.
    by : dict of str to DataFrame
        For each column asked for, one row a value, as `figures_by`.
    left_out : dict of str to int
        Items that could not be used, by reason.
    unused_labels : int
        Labels of a file that belong to none of the items.
    curve : RankingPoints, optional
        ROC and precision over recall, thinned; of both classes only.
    """

    n_normals: int
    n_anomalies: int
    threshold: Threshold
    ranking: dict[str, Interval]
    at_threshold: dict[str, Interval]
    kinds: pd.DataFrame
    quantiles: dict[str, dict[str, float]] = field(default_factory=dict)
    pixels: dict[str, Interval] = field(default_factory=dict)
    outlines: Outlines | None = None
    by: dict[str, pd.DataFrame] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    unused_labels: int = 0
    curve: RankingPoints | None = None

    @property
    def figures(self) -> dict[str, Interval]:
        """All single figures by name."""
        return self.ranking | self.at_threshold | self.pixels

    @property
    def not_measured(self) -> str:
        """Say what items of one class cannot tell; empty where both are there."""
        if self.n_normals and self.n_anomalies:
            return ""
        missing = "anomalous" if self.n_normals else "normal"
        rate = "recall" if self.n_normals else "the false-positive rate"
        return (
            f"There are no {missing} items: {rate}, precision, F1 and rankings (AUROC and others) "
            f"cannot be measured. Add labelled {missing} items to measure them."
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values; a figure that cannot be said is null."""
        return {
            "n_normals": self.n_normals,
            "n_anomalies": self.n_anomalies,
            "figures": {name: plain_interval(interval) for name, interval in self.figures.items()},
            "not_measured": self.not_measured or None,
            "score_quantiles": self.quantiles,
            "masks": None if self.outlines is None else self.outlines.to_dict(),
            "kinds": self.kinds.to_dict("records"),
            "by": {column: _records(table) for column, table in self.by.items()},
            "left_out": self.left_out,
            "unused_labels": self.unused_labels,
            "curve": None if self.curve is None else asdict(self.curve),
            "threshold": self.threshold.to_dict(),
        }


def evaluate(
    items: ScoredItems, threshold: Threshold, *, random_state: int = 0
) -> EvaluationReport:
    """Measure scores against labels.

    Parameters
    ----------
    items : ScoredItems
        With labels. With groups, intervals resample whole groups.
    threshold : Threshold
    random_state : int
        Of the bootstrap.

    Raises
    ------
    DataError
        If the items have no labels.
    CalibrationError
        If there are no items, or a score is not finite.
    """
    if items.labels is None:
        raise no_labels(items.source)
    scores = checked_scores(items.scores)
    y = checked_labels(items.labels, len(items), one_class=True)
    both = bool(y.any() and not y.all())
    kinds = items.kinds if items.kinds is not None else np.where(y, "anomaly", "normal")
    named = [_kind(kind, bad) for kind, bad in zip(kinds, y, strict=True)]
    return EvaluationReport(
        n_normals=int(np.sum(~y)),
        n_anomalies=int(np.sum(y)),
        threshold=threshold,
        ranking=_ranking(items, y, random_state) if both else {},
        at_threshold=_at_threshold(items, y, threshold.flag(items.scores), random_state),
        kinds=recall_by_kind(items.scores, named, threshold.value),
        quantiles=_quantiles(scores, y),
        pixels=_pixels(items.outlines, random_state),
        outlines=items.outlines,
        by={name: figures_by(items, y, values, threshold) for name, values in items.by.items()},
        left_out=items.left_out,
        unused_labels=items.unused_labels,
        curve=ranking_points(scores, y, threshold.value) if both else None,
    )


def _kind(kind: object, is_anomaly: bool) -> str:
    return str(kind) if kind is not None else ("anomaly" if is_anomaly else "normal")


def _ranking(items: ScoredItems, y: Bools, random_state: int) -> dict[str, Interval]:
    n = N_RESAMPLES if len(items) <= MANY else N_RESAMPLES // 4
    metrics = {
        "auroc": RankingCurve.auroc,
        "average_precision": RankingCurve.average_precision,
        "fpr_at_95_tpr": RankingCurve.fpr_at_tpr,
        "partial_auroc": RankingCurve.partial_auroc,
    }
    return {
        name: bootstrap_interval(
            metric, y, items.scores, groups=items.groups, n_resamples=n, random_state=random_state
        )
        for name, metric in metrics.items()
    }


def _at_threshold(
    items: ScoredItems, y: Bools, flags: Bools, random_state: int
) -> dict[str, Interval]:
    """Return recall, false-positive rate, precision and F1 of flags, as far as there are items."""
    from vae_anomaly.thresholds.rules import share_of

    if not y.any():
        return {"fpr": share_of(~y, flags, items.groups)}
    if y.all():
        return {"recall": share_of(y, flags, items.groups)}
    sides = {"recall": (y, flags), "fpr": (~y, flags), "precision": (flags, y)}
    shares = {name: share_of(*side, items.groups) for name, side in sides.items()}
    return {**shares, "f1": _f1(y, flags, random_state)}


def _f1(y: Bools, flags: Bools, random_state: int) -> Interval:
    """Return F1 with an interval from binomial draws of finds and false alarms."""
    tp, fp = float(np.sum(flags & y)), float(np.sum(flags & ~y))
    n_anomalies, n_normals = float(np.sum(y)), float(np.sum(~y))
    rng = np.random.default_rng(random_state)
    drawn_tp = rng.binomial(int(n_anomalies), tp / n_anomalies, 4000)
    drawn_fp = rng.binomial(int(n_normals), fp / n_normals, 4000)
    low, high = np.quantile(2 * drawn_tp / (drawn_tp + drawn_fp + n_anomalies), [0.025, 0.975])
    return Interval(2 * tp / (tp + fp + n_anomalies), float(low), float(high))


def _quantiles(scores: Floats, y: Bools) -> dict[str, dict[str, float]]:
    parts = {"normal": scores[~y], "anomalous": scores[y]}
    return {
        name: {f"{q:g}": float(np.quantile(part, q)) for q in SCORE_QUANTILES}
        for name, part in parts.items()
        if part.size
    }


def figures_by(items: ScoredItems, y: Bools, values: Objects, threshold: Threshold) -> pd.DataFrame:
    """Tabulate false alarms, finds and ranking for each value of a column, of each item.

    Returns the values with most items first, empty cells as a value of their own: ``value,
    n_normals, n_anomalies`` and, each with ``_low`` and ``_high``, ``fpr, recall`` (exact
    intervals) and ``auroc`` (bootstrap); NaN where a value has no such items.
    """
    names = pd.Series(values, dtype=object).fillna("(empty)").astype(str).to_numpy()
    flags = threshold.flag(items.scores)
    rows = []
    for value in pd.Series(names).value_counts(sort=True).index:
        at = names == value
        normal, odd = at & ~y, at & y
        figures = {
            "fpr": proportion_interval(float(np.sum(flags & normal)), float(np.sum(normal))),
            "recall": proportion_interval(float(np.sum(flags & odd)), float(np.sum(odd))),
            "auroc": _auroc_within(items.scores[at], y[at]),
        }
        counts = {"value": value, "n_normals": int(np.sum(normal)), "n_anomalies": int(np.sum(odd))}
        rows.append(counts | _flat(figures))
    return pd.DataFrame(rows)


def _auroc_within(scores: Floats, y: Bools) -> Interval:
    if y.all() or not y.any():
        return Interval(math.nan, math.nan, math.nan)
    return bootstrap_interval(RankingCurve.auroc, y, scores, n_resamples=N_RESAMPLES // 4)


def _flat(figures: dict[str, Interval]) -> dict[str, float]:
    flat: dict[str, float] = {}
    for name, f in figures.items():
        known = not math.isnan(f.estimate)
        flat |= {name: f.estimate} | {
            f"{name}_{end}": getattr(f, end) if known else math.nan for end in ("low", "high")
        }
    return flat


def _pixels(outlines: Outlines | None, random_state: int) -> dict[str, Interval]:
    """Return the figures of heatmaps against outlines, on maps of 128 pixels."""
    if outlines is None or not outlines.n_masks:
        return {}
    return pixel_figures(
        outlines.masks, outlines.heat, groups=outlines.groups, random_state=random_state
    )


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    rows = table.to_dict("records")
    return [{str(k): None if v != v else v for k, v in row.items()} for row in rows]


def plain_interval(interval: Interval) -> dict[str, float | None]:
    """Return estimate and ends as JSON values, null where they cannot be said."""
    values = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    return {name: None if math.isnan(value) else value for name, value in values.items()}
