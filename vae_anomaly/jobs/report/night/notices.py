"""What the owner of a night should know before looking at it, each with what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from vae_anomaly.batch import read_summary
from vae_anomaly.errors import DataError
from vae_anomaly.jobs.report.night.source import Night
from vae_anomaly.metrics import Interval
from vae_anomaly.names import typed
from vae_anomaly.reports.facts.night import Notice
from vae_anomaly.words import number_of, verb_for

MANY_FLAGS, MANY_TIMES = 20, 10.0  # from when so many flags make one doubt the model
_FEW_NORMALS: Final = 100  # fewer cannot show a rate of 1 in 100
OLD_DAYS: Final = 180
_MOST_NOTES = 20


@dataclass(frozen=True)
class NightCounts:
    """What notices are about, beside the night itself.

    Parameters
    ----------
    expected : Interval
        False alarms at the threshold in force.
    scored_at : str
        ISO time; empty where it is not known.
    model : str
        What commands call the model.
    bound : str, optional
        What has flagged by what verdicts have taught, where that has.
    """

    expected: Interval
    scored_at: str
    model: str
    bound: str | None = None


def notices_of(night: Night, counts: NightCounts) -> tuple[Notice, ...]:
    """Return what is to be said of a night, the warnings first."""
    said = [
        *_nothing(night),
        *_failed(night),
        *_learned(counts),
        *_flag_rate(night, counts),
        *_quarantine(night),
        *_drift(night),
        *_threshold(night, counts),
        *_age(night, counts),
        *_notes(night),
        *_versions(night),
        *_earlier(night),
        *_left_out(night),
    ]
    return tuple(sorted(said, key=lambda notice: notice.level != "warning"))


def _nothing(night: Night) -> Iterator[Notice]:
    if not night.count("rows_in"):
        yield Notice(
            "warning",
            "The input holds no items.",
            "Look whether it was written in full and arrived.",
        )


def _learned(counts: NightCounts) -> Iterator[Notice]:
    if counts.bound is not None:
        yield Notice(
            "info",
            f"Flagged by what verdicts have taught: {counts.bound}. The slider and what it counts "
            "are of the model's own score.",
        )


def _failed(night: Night) -> Iterator[Notice]:
    if night.failed:
        first = next(iter(night.failed.values()))
        n = len(night.failed)
        yield Notice(
            "warning",
            f"{number_of(n, 'part')} of the input could not be scored and {verb_for(n)} not on "
            f"this page: {first}",
            "Put it right and score again; what is done is not done twice.",
        )


def _flag_rate(night: Night, counts: NightCounts) -> Iterator[Notice]:
    flagged, n, alarms = night.count("rows_flagged"), night.count("rows_out"), counts.expected
    if not n or not night.scoring.n_held_out:
        return
    usual = f"normal items alone would give {_amount(alarms.low)} to {_amount(alarms.high)}"
    if flagged < alarms.low:
        yield Notice(
            "warning",
            f"Fewer items are flagged than expected: {flagged:,} of {n:,}, where {usual}. Scores "
            "have moved, and anomalies may be missed.",
            "Check that the input is what the model was trained on; if normal has changed, train "
            "again on recent items.",
        )
    elif flagged >= MANY_FLAGS and flagged > MANY_TIMES * alarms.estimate:
        yield Notice(
            "warning",
            f"Very many items are flagged: {flagged:,} of {n:,}, where {usual}.",
            "Look at some of them. When most are no anomalies, normal has moved: train again on "
            "recent items.",
        )
    elif flagged > alarms.high:
        yield Notice(
            "info",
            f"More items are flagged than chance explains: {flagged:,} of {n:,}, where {usual}. "
            "Some are anomalies, or normal has moved.",
            "Judge the flagged items: the verdicts tell which of both.",
        )


def _drift(night: Night) -> Iterator[Notice]:
    """Say what has moved since the training, but for flags, which are told above."""
    try:
        checks = read_summary(night.root).checks
    except DataError:  # an earlier version has scored, or a run was ended
        return
    told = [check for check in checks if check.family not in ("flags", "limits")]
    levels: tuple[tuple[str, Literal["warning", "info"]], ...]
    levels = (("alarm", "warning"), ("moved", "info"))
    for check_level, level in levels:
        for check in [one for one in told if one.level == check_level][:_MOST_NOTES]:
            yield Notice(
                level,
                f"{check.text[0].upper()}{check.text[1:]}.",
                "Look at the source of these items; if it stays so, train again on recent normals.",
            )


def _quarantine(night: Night) -> Iterator[Notice]:
    bad, n = night.count("rows_quarantined"), night.count("rows_in")
    if n and bad > night.max_bad_fraction * n:
        yield Notice(
            "warning",
            f"{bad:,} of {number_of(n, 'item')} could not be scored ({bad / n:.1%}), more than the "
            f"{night.max_bad_fraction:.1%} allowed.",
            "See the reasons under Not scored; put the input right and score again.",
        )


def _threshold(night: Night, counts: NightCounts) -> Iterator[Notice]:
    threshold, n = night.scoring.threshold, night.scoring.n_held_out
    rate = max(0.01, 1 / (n + 1))
    tune = f"vae-anomaly threshold tune {typed(counts.model)}"
    if threshold.get("extrapolated") or (n and night.threshold > math.log10(n + 1)):
        yield Notice(
            "warning",
            f"The threshold lies beyond what the {number_of(n, 'held-out normal')} can show and "
            "rests on a fitted tail: the false alarms to expect are not counted.",
            f"Choose one that is counted: {tune} --target-fpr {rate:.2g}; or "
            "train on more normals.",
        )
    elif 0 < n < _FEW_NORMALS:
        yield Notice(
            "warning",
            f"Only {number_of(n, 'held-out normal')} {verb_for(n, 'stands', 'stand')} behind the "
            f"threshold: the rate of false alarms is not well known, and none below 1 in {n + 1} "
            "can be promised.",
            "Train on more normals.",
        )
    if isinstance(note := threshold.get("note"), str) and note:
        yield Notice("info", f"Of the threshold: {note}")


def _age(night: Night, counts: NightCounts) -> Iterator[Notice]:
    """Say where the model is old, by the end of its training data or the date of its threshold."""
    scored = _time(counts.scored_at)
    span = night.scoring.fingerprint.get("time_span")
    ends = _time(span[-1]) if isinstance(span, list | tuple) and span else None
    made = _time(night.scoring.threshold.get("created"))
    if scored is None or (ends is None and made is None):
        return
    days = (scored - (ends or made or scored)).days
    if days > OLD_DAYS:
        what = "The data of training end" if ends else "The threshold was made"
        on = (ends or made or scored).date().isoformat()
        yield Notice(
            "warning",
            f"The model is older than its data: {what.lower()} on {on}, {days:,} days before "
            "this night.",
            "Look whether normal is still what it was then; if in doubt, train again on recent "
            "items.",
        )


def _notes(night: Night) -> Iterator[Notice]:
    notes = [str(note) for entry in night.entries for note in entry.get("notes", ())]
    for note in notes[:_MOST_NOTES]:
        yield Notice("warning", f"{note.removesuffix('.')}.")
    if (more := len(notes) - _MOST_NOTES) > 0:
        yield Notice("warning", f"{number_of(more, 'more note')} {verb_for(more)} in the manifest.")


def _versions(night: Night) -> Iterator[Notice]:
    """Say where the folder holds results of other models or thresholds."""
    own = {_version(entry) for entry in night.entries}
    other = {_version(entry) for entry in night.others} - own
    if len(own) > 1:
        yield Notice(
            "warning",
            f"This night was scored by more than one model or threshold: {_named(own)}. Its "
            "scores are not all on one scale.",
            "Score the whole input again, into a new folder.",
        )
    if other:
        yield Notice(
            "info",
            f"The folder also holds nights by another model or threshold: {_named(other)}; this "
            f"one is by {_named(own)}.",
        )


def _version(entry: dict[str, Any]) -> tuple[str, float]:
    return str(entry["model_version"]), float(entry["threshold"])


def _named(versions: set[tuple[str, float]]) -> str:
    return ", ".join(f"{name} above {bound:.4g}" for name, bound in sorted(versions))


def _earlier(night: Night) -> Iterator[Notice]:
    if not night.has_items or not night.scoring.n_held_out:
        yield Notice(
            "info",
            "These results were scored by an earlier version, which kept neither items to look at "
            "nor what the model was calibrated on; false alarms are taken from the scores at "
            "their word.",
            "Score the input again to see them.",
        )


def _left_out(night: Night) -> Iterator[Notice]:
    from vae_anomaly.data.images.folders import LeftOutImages, told

    for line in told(tuple(LeftOutImages(**one) for one in night.left_out)):
        yield Notice("info", f"{line[0].upper()}{line[1:]}.")


def _time(text: object) -> datetime | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _amount(value: float) -> str:
    return f"{value:,.0f}"
