"""What reviewers' verdicts, or labels, say of a threshold over a whole night.

A verdict is on an item by its name. So one on a name that several files of the night have is on
none of them. Ids and paths of images are taken to name the same thing for ever, but a row that only
its place names, ``day.csv#17``, is another one in the next ``day.csv``: a stored verdict is on it
where it was given after the row was scored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vae_anomaly.errors import CalibrationError, DataError, ModelRefusedError, VaeAnomalyError
from vae_anomaly.jobs.report.night.scores import NightScores, score_batches
from vae_anomaly.jobs.report.night.source import Night
from vae_anomaly.jobs.report.night.steps import KnownFigures
from vae_anomaly.reports.facts.night import Notice
from vae_anomaly.thresholds import ReviewedSample, Threshold
from vae_anomaly.thresholds.reviews.verdicts import read_verdicts
from vae_anomaly.tracking.store import store_exists, tracking_uri
from vae_anomaly.words import number_of, reason_of, verb_for

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from vae_anomaly.arrays import Bools, Floats

Costs = tuple[float, float]
"""Of a false alarm, and of a miss."""

_ROW_OF_FILE: Final = re.compile(r"#\d+$")  # ``day.csv#17``: a row without an id


def judged_by_file(
    file: str | Path,
    night: Night,
    scores: NightScores,
    costs: Costs | None,
) -> tuple[Callable[[float], KnownFigures], Notice]:
    """Measure thresholds by the verdicts or labels of a file.

    Raises
    ------
    DataError
        If no flagged item of the night has a verdict there, or the file cannot be read.
    """
    batches = score_batches(night.root, night.entries)
    frame = read_verdicts(file, ids=(i for ids, _, _ in batches for i in ids.to_pylist())).frame
    known = verdicts_by_item(frame, night)
    sample = _joined(known, scores)
    if sample is None:
        raise DataError(
            f"None of the {number_of(len(frame), 'verdict')} of {file} is on a flagged item of "
            f"{night.root}; they are on items like {frame['item'].iloc[0]!r}. "
            f"{known.remark or 'Give the decisions on this night.'}"
        )
    return measure_of(sample, costs), _told(sample, str(file), known.remark)


def judged_by_store(
    name: str,
    uri: str | None,
    night: Night,
    scores: NightScores,
    costs: Costs | None,
) -> tuple[Callable[[float], KnownFigures] | None, Notice | None]:
    """Measure thresholds by the verdicts stored with a registered model, where there are any.

    A store that is not there or does not answer is no reason to have no page.
    """
    from vae_anomaly.tracking import load_feedback

    try:
        if not store_exists(tracking_uri(uri)):
            return None, None
        known = verdicts_by_item(load_feedback(name, uri), night, since=night.done_at())
    except ModelRefusedError:  # a store that does not know it
        return None, None
    except (VaeAnomalyError, OSError) as err:
        why = f"Verdicts stored with {name} could not be read: {reason_of(err)}"
        return None, Notice("info", why, "Make the page again when the store answers.")
    sample = _joined(known, scores)
    if sample is None:
        return None, Notice("info", known.remark) if known.remark else None
    return measure_of(sample, costs), _told(sample, f"verdicts stored with {name}", known.remark)


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


@dataclass(frozen=True)
class VerdictsByItem:
    """Verdicts on the N items of a night.

    Parameters
    ----------
    said : ndarray of shape (N,), float64
        1 = anomaly, 0 = false alarm, NaN without a verdict.
    drawn : ndarray of shape (N,), bool
        Judged because it was drawn at random.
    remark : str
        Which verdicts are on none of them though they name one, and why; else empty.
    """

    said: Floats
    drawn: Bools
    remark: str = ""


def verdicts_by_item(
    verdicts: pd.DataFrame, night: Night, since: Mapping[str, datetime] | None = None
) -> VerdictsByItem:
    """Join verdicts to the items of a night by their names.

    Parameters
    ----------
    verdicts : DataFrame
        ``item, is_anomaly, audit, when``, one row an item.
    since : mapping of str to datetime, optional
        When each partition was scored: earlier verdicts on rows without an id are on others.
    """
    places: dict[str, list[int]] = {name: [] for name in verdicts["item"]}
    scored, n = {}, 0
    for entry in night.entries:
        for ids, _, _ in score_batches(night.root, [entry]):
            for place, name in enumerate(ids.to_pylist(), start=n):
                if name in places:
                    places[name].append(place)
                    scored[name] = (since or {}).get(str(entry["key"]))
            n += len(ids)
    said, drawn, double, old = np.full(n, np.nan), np.zeros(n, dtype=np.bool_), 0, 0
    columns = (verdicts[name].tolist() for name in ("item", "is_anomaly", "audit", "when"))
    for name, is_anomaly, audit, given in zip(*columns, strict=True):
        found, done = places[name], scored.get(name)
        if len(found) > 1:
            double += 1
        elif found and done and _ROW_OF_FILE.search(name) and given < done:
            old += 1
        elif found:
            said[found[0]], drawn[found[0]] = float(is_anomaly), bool(audit)
    return VerdictsByItem(said, drawn, _remark(double, old))


def _remark(double: int, old: int) -> str:
    texts = []
    if double:
        texts.append(
            f"{number_of(double, 'verdict')} {verb_for(double)} on names that several items of "
            f"this night have, and {verb_for(double, 'counts', 'count')} for none of them: give "
            "each item a name of its own, or score each file into a folder of its own."
        )
    if old:
        texts.append(
            f"{number_of(old, 'verdict')} {verb_for(old, 'was', 'were')} given before these rows "
            f"were scored, and {verb_for(old, 'does', 'do')} not count: rows without an id may be "
            "others by now. Where the file is the same, give the decisions with --verdicts, or "
            "name rows with --id-column."
        )
    return " ".join(texts)


def _joined(known: VerdictsByItem, night: NightScores) -> ReviewedSample | None:
    """Return the judged items of a night; None where they are on others, or on none flagged.

    Where all items have one they are labels: nothing was drawn, and nothing is unknown.
    """
    if not np.isfinite(known.said).any():
        return None
    drawn = ~night.flagged if np.isfinite(known.said).all() else known.drawn
    try:
        return ReviewedSample.of(night.scores, known.said, flagged=night.flagged, audit=drawn)
    except CalibrationError:  # none of the flagged ones was judged yet
        return None


def _told(sample: ReviewedSample, source: str, remark: str) -> Notice:
    confirmed, n = int(sample.labels.sum()), len(sample.labels)
    counts = (
        f"{number_of(n, 'item')} of this night {verb_for(n, 'has', 'have')} a verdict ({source}): "
        f"{confirmed:,} confirmed, {number_of(n - confirmed, 'false alarm')}."
    )
    if sample.is_audited:
        measured = f"{counts} Precision, recall and cost are measured by them."
        return Notice("info", f"{measured} {remark}".strip())
    missed = (
        f"{counts} Nobody judged items drawn at random among those not flagged, so what is missed "
        "is not known: precision alone is measured."
    )
    return Notice("info", f"{missed} {remark}".strip(), "Judge the audit items as well.")
