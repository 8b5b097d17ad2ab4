"""What reviewers' verdicts, or labels, say of a threshold over a whole night."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_anomaly.errors import CalibrationError, DataError, ModelRefusedError, VaeAnomalyError
from vae_anomaly.jobs.report.night.scores import NightScores, score_batches
from vae_anomaly.jobs.report.night.steps import KnownFigures
from vae_anomaly.reports.facts.night import Notice
from vae_anomaly.thresholds import ReviewedSample, Threshold
from vae_anomaly.thresholds.reviews.verdicts import read_verdicts
from vae_anomaly.tracking.store import store_exists, tracking_uri
from vae_anomaly.words import number_of, reason_of, verb_for

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.arrays import Floats

Costs = tuple[float, float]
"""Of a false alarm, and of a miss."""


def judged_by_file(
    file: str | Path,
    root: Path,
    entries: Sequence[Mapping[str, Any]],
    night: NightScores,
    costs: Costs | None,
) -> tuple[Callable[[float], KnownFigures], Notice]:
    """Measure thresholds by the verdicts or labels of a file.

    Raises
    ------
    DataError
        If no flagged item of the night has a verdict there, or the file cannot be read.
    """
    batches = score_batches(root, entries)
    frame = read_verdicts(file, ids=(i for ids, _, _ in batches for i in ids.to_pylist())).frame
    sample = _joined(frame, root, entries, night)
    if sample is None:
        raise DataError(
            f"None of the {number_of(len(frame), 'verdict')} of {file} is on a flagged item of "
            f"{root}; they are on items like {frame['item'].iloc[0]!r}. Give the decisions on this "
            "night."
        )
    return measure_of(sample, costs), _told(sample, str(file))


def judged_by_store(
    name: str,
    uri: str | None,
    root: Path,
    entries: Sequence[Mapping[str, Any]],
    night: NightScores,
    costs: Costs | None,
) -> tuple[Callable[[float], KnownFigures] | None, Notice | None]:
    """Measure thresholds by the verdicts stored with a registered model, where there are any.

    A store that is not there or does not answer is no reason to have no page.
    """
    from vae_anomaly.tracking import load_feedback

    try:
        if not store_exists(tracking_uri(uri)):
            return None, None
        sample = _joined(load_feedback(name, uri), root, entries, night)
    except ModelRefusedError:  # a store that does not know it
        return None, None
    except (VaeAnomalyError, OSError) as err:
        why = f"Verdicts stored with {name} could not be read: {reason_of(err)}"
        return None, Notice("info", why, "Make the page again when the store answers.")
    if sample is None:
        return None, None
    return measure_of(sample, costs), _told(sample, f"verdicts stored with {name}")


def measure_of(sample: ReviewedSample, costs: Costs | None) -> Callable[[float], KnownFigures]:
    """Return what tells precision, recall and cost of a threshold.

    KnownFigures change only where a score lies between two thresholds, and are computed once.
    """
    known: dict[tuple[int, int], KnownFigures] = {}
    everything, seen = np.sort(sample.all_scores), np.sort(sample.scores)
    prices = costs or (None, None)

    def judged(value: float) -> KnownFigures:
        place = tuple(int(np.searchsorted(s, value, side="right")) for s in (everything, seen))
        key = (place[0], place[1])
        if key not in known:
            found = sample.measured(Threshold(value=value), *prices)
            known[key] = {
                "precision": found.expected_precision,
                "recall": found.expected_recall,
                "cost": None
                if found.expected_cost is None
                else found.expected_cost.scaled(everything.size),
            }
        return known[key]

    return judged


def _joined(
    verdicts: pd.DataFrame, root: Path, entries: Sequence[Mapping[str, Any]], night: NightScores
) -> ReviewedSample | None:
    """Join verdicts to the items of a night; None where they are on others, or on none flagged.

    Where all items have one they are labels: nothing was drawn, and nothing is unknown.
    """
    if not len(verdicts):
        return None
    known, drawn = _by_item(verdicts, root, entries, len(night))
    if not np.isfinite(known).any():
        return None
    if np.isfinite(known).all():
        drawn = ~night.flagged
    try:
        return ReviewedSample.of(night.scores, known, flagged=night.flagged, audit=drawn)
    except CalibrationError:  # none of the flagged ones was judged yet
        return None


def _by_item(
    verdicts: pd.DataFrame, root: Path, entries: Sequence[Mapping[str, Any]], n: int
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Return the verdict on each of N items, NaN without one, and whether it was drawn."""
    said = dict(zip(verdicts["item"], verdicts["is_anomaly"], strict=True))
    at_random = set(verdicts["item"][verdicts["audit"].astype(bool)])
    known, drawn, place = np.full(n, np.nan), np.zeros(n, dtype=np.bool_), 0
    for ids, _, _ in score_batches(root, entries):
        for name in ids.to_pylist():
            if name in said:
                known[place], drawn[place] = float(said[name]), name in at_random
            place += 1
    return known, drawn


def _told(sample: ReviewedSample, source: str) -> Notice:
    confirmed, n = int(sample.labels.sum()), len(sample.labels)
    counts = (
        f"{number_of(n, 'item')} of this night {verb_for(n, 'has', 'have')} a verdict ({source}): "
        f"{confirmed:,} confirmed, {number_of(n - confirmed, 'false alarm')}."
    )
    if sample.is_audited:
        return Notice("info", f"{counts} Precision, recall and cost are measured by them.")
    return Notice(
        "info",
        f"{counts} Nobody judged items drawn at random among those not flagged, so what is missed "
        "is not known: precision alone is measured.",
        "Judge the audit items as well.",
    )
