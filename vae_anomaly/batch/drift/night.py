"""Compare a night with the training of its model, from what lies in the output folder alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from vae_anomaly.batch.drift.tallies import read_tally
from vae_anomaly.batch.review.models import read_scoring_facts
from vae_anomaly.errors import DataError
from vae_anomaly.monitoring.baseline import Baseline
from vae_anomaly.monitoring.checks import Calibration, Check, Limits, check_night, texts_of
from vae_anomaly.monitoring.tally import Tally, p_bins
from vae_anomaly.reports.facts.night import ScoringFacts
from vae_anomaly.words import number_of, verb_for

_NO_BASELINE: Final = (
    "whether inputs have moved cannot be told: the model keeps nothing of its training inputs. "
    "Train it again with `vae-anomaly train`; one that is fitted in Python keeps them by "
    "`vae_anomaly.jobs.{keeps}` before it is saved"
)
_KEEPS: Final = {
    "tabular": "keep_table_baseline(detector, rows)",
    "image": "keep_image_baseline(detector, images)",
}
_PAST_NIGHTS: Final = 8
_SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True)
class NightDrift:
    """What a night tells beside its results.

    Parameters
    ----------
    checks : tuple of Check
        Alarms first.
    notes : tuple of str
        What could not be compared, and what to do.
    tally : Tally
    calibration : Calibration, optional
        Of the model; None where an earlier version has scored.
    data_until : str, optional
        The latest time that a row tells, ISO 8601.
    age_days : float, optional
        From the latest time of the training data to that of the night.
    trained_until : str, optional
        That latest time of the training data.
    """

    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    tally: Tally = field(default_factory=Tally)
    calibration: Calibration | None = None
    data_until: str | None = None
    age_days: float | None = None
    trained_until: str | None = None

    @property
    def alarms(self) -> tuple[str, ...]:
        """What ends a night that is asked to fail on drift, in words."""
        return texts_of(self.checks, "alarm")

    @property
    def moved(self) -> tuple[str, ...]:
        """What has moved less than that, in words."""
        return texts_of(self.checks, "moved")


def drift_of(
    root: str | Path,
    manifest: Mapping[str, Any],
    keys: Collection[str],
    limits: Limits,
    past: Collection[str] = (),
) -> NightDrift:
    """Compare the partitions of a night with the training of the model that scored them.

    Parameters
    ----------
    root : str or Path
        Output folder of a finished run.
    manifest : mapping
        As `read_manifest` gives it.
    keys : collection of str
        Of the night's partitions. Those that another model scored than the last one are left out.
    limits : Limits
    past : collection of str
        Of earlier nights, with which groups are compared.

    Raises
    ------
    DataError
        If a file that the manifest lists is missing, or is another.
    """
    entries = [entry for entry in manifest["partitions"] if entry["key"] in keys]
    if not entries:
        return NightDrift()
    digest = str(entries[-1]["model_digest"])
    facts = read_scoring_facts(root, manifest).get(digest)
    baseline, calibration = _baseline(facts), None if facts is None else held_out_counts(facts)
    own = [entry for entry in entries if entry["model_digest"] == digest]
    before = [
        entry
        for entry in manifest["partitions"]
        if entry["key"] in past and entry["model_digest"] == digest
    ]
    tallies, earlier = _read(root, own), _read(root, list(filter(_counts_lost(root), before)))
    if not all(tally.fits(baseline) for tally in (*tallies, *earlier)):
        raise DataError(f"{root} holds counts that are not those of its model. Run again.")
    tally = Tally.total(tallies)
    quarantined, flagged = (
        sum(int(entry[name]) for entry in own) for name in ("rows_quarantined", "rows_flagged")
    )
    return NightDrift(
        tuple(
            check_night(
                tally,
                baseline,
                calibration,
                limits,
                past=Tally.total(earlier),
                quarantined=quarantined,
                flagged=flagged if len(tallies) == len(own) else None,
            )
        ),
        tuple(_notes(facts, baseline, len(entries) - len(tallies))),
        tally,
        calibration,
        tally.until,
        age_in_days(None if baseline is None else baseline.until, tally.until),
        None if baseline is None else baseline.until,
    )


def fresh_keys(nights: Sequence[Sequence[str]]) -> Iterator[tuple[list[str], set[str]]]:
    """Yield for each night the partitions that were new to it, and those of the nights before.

    Where a run was given nothing new, all of its partitions; before are at most eight nights.
    """
    seen: set[str] = set()
    recent: deque[list[str]] = deque(maxlen=_PAST_NIGHTS)
    for keys in nights:
        fresh = [key for key in keys if key not in seen] or list(keys)
        yield fresh, {key for night in recent for key in night} - set(fresh)
        recent.append(fresh)
        seen.update(keys)


def _counts_lost(root: str | Path) -> Callable[[Mapping[str, Any]], bool]:
    """Tell of parts whether they count what was not scored; earlier versions counted none."""

    def counts(entry: Mapping[str, Any]) -> bool:
        lost = int(entry["rows_quarantined"]) - int(entry["codes"].get("ragged", 0))
        tally = read_tally(root, entry)
        return lost <= 0 or (tally is not None and tally.whole.quarantined > 0)

    return counts


def _read(root: str | Path, entries: Sequence[Mapping[str, Any]]) -> list[Tally]:
    return [tally for entry in entries if (tally := read_tally(root, entry)) is not None]


def held_out_counts(facts: ScoringFacts) -> Calibration:
    """Return what checks ask of the held-out normals of a model; groups count, not their items."""
    scores, value = np.asarray(facts.held_out, np.float64), facts.threshold.get("value")
    if not isinstance(value, float | int) or not scores.size:
        raise DataError(f"The facts of {facts.version} have no threshold. Score the input again.")
    worth = float(len(set(facts.groups)) or facts.n_held_out)
    each = worth / scores.size
    above = float(np.sum(scores > value))
    bins = p_bins(np.clip(10.0**-scores, 0.0, 1.0)) * each
    return Calibration(tuple(bins.tolist()), above * each, worth)


def _baseline(facts: ScoringFacts | None) -> Baseline | None:
    if facts is None or facts.baseline is None:
        return None
    return Baseline.from_dict(facts.baseline)


def _notes(facts: ScoringFacts | None, baseline: Baseline | None, n_uncounted: int) -> list[str]:
    keeps = _KEEPS["tabular" if facts is None else facts.kind]
    notes = [] if baseline is not None else [_NO_BASELINE.format(keeps=keeps)]
    if n_uncounted:
        notes.append(
            f"{number_of(n_uncounted, 'part')} {verb_for(n_uncounted, 'was', 'were')} scored by an "
            "earlier version or another model, and tell nothing of drift"
        )
    return notes


def age_in_days(before: str | None, now: str | None) -> float | None:
    """Return the days from one time to another, ISO 8601; None where one is not known."""
    try:
        times = [datetime.fromisoformat(time) for time in (before, now) if time is not None]
        return (times[1] - times[0]).total_seconds() / _SECONDS_A_DAY if len(times) == 2 else None
    except (ValueError, TypeError):
        raise DataError(f"{before!r} or {now!r} is no time. Run again.") from None
