"""What is asked of a night: have its inputs, scores, flags or groups moved away from training.

Each question has a p-value and a size. An alarm takes both: with many rows every test finds
something, and a small sample looks moved by chance. The p-values of a night are corrected as one
family, so the share of quiet nights with any alarm stays below the stated rate.

::

    inputs   each column or measure of images against training: Kolmogorov-Smirnov or chi-square
    scores   p-values above 0.1 against those of the held-out normals: anomalies sit below
    flags    against the rate of the threshold: beta-binomial
    groups   each against itself in training or on earlier nights, shares of flags and of quarantine
             too; without a past it is told how it differs from the others, which is no alarm
    limits   shares of flags and quarantine that the user set: no test, the limit is the limit
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from scipy import stats

from vae_anomaly.arrays import Ints
from vae_anomaly.monitoring.baseline import Baseline, Variable
from vae_anomaly.monitoring.moved import has_hardly_moved, moved_words
from vae_anomaly.monitoring.statistics import (
    added_up,
    chi_square,
    excess_flags,
    holm,
    kolmogorov_smirnov,
    merged_cells,
    population_stability,
)
from vae_anomaly.monitoring.tally import P_BINS, GroupCounts, Tally, VariableCounts

QUIET_ALARMS: Final = 0.01
"""Largest share of quiet nights that have an alarm."""
MODERATE, LARGE = 0.1, 0.25
"""Population stability from which a change is told, and from which it is an alarm."""
MORE_FLAGS: Final = 2.0
"""Times the expected share of flags, from which more of them are an alarm."""
_BULK: Final = P_BINS // 10  # bins of p-values that are left to anomalies
_FEWEST: Final = 20  # items of a group that is looked at by itself
_GROUP_MORE: Final = 0.02  # share of flags above that of the other groups

_THAN: Final = {"before": "on earlier nights", "of all others": "those of all other groups"}

Family = Literal["inputs", "scores", "flags", "groups", "limits"]
Level = Literal["quiet", "moved", "alarm"]


@dataclass(frozen=True)
class Check:
    """One question to a night, with its answer.

    Parameters
    ----------
    family : {"inputs", "scores", "flags", "groups", "limits"}
    name : str
        Column, measure, or what else was compared.
    group : str
        Whose; empty for all.
    size : float
        Population stability index; for flags and limits the share over the one that it is compared
        with.
    p_value : float, optional
        Corrected for all questions of the night; None for a limit.
    level : {"quiet", "moved", "alarm"}
        "moved" is told and ends nothing.
    text : str
        What has moved, in words.
    """

    family: Family
    name: str
    group: str
    size: float
    p_value: float | None
    level: Level
    text: str


def texts_of(checks: Iterable[Check], level: Level) -> tuple[str, ...]:
    """Return in words what the checks of a level have found."""
    return tuple(check.text for check in checks if check.level == level)


@dataclass(frozen=True)
class Calibration:
    """The held-out normals of a model, as far as checks ask.

    Parameters
    ----------
    p_values : tuple of 20 float
        How many of theirs lie in each bin of `tally.P_BINS`.
    above : float
        How many of them lie above the threshold.
    worth : float
        How many independent ones they stand for: groups, where they come in groups.
    """

    p_values: tuple[float, ...]
    above: float
    worth: float


@dataclass(frozen=True)
class Limits:
    """What the user takes for too much.

    Parameters
    ----------
    false_alarms : float in (0, 1)
        Largest share of quiet nights with an alarm.
    max_flag_rate : float, optional
        Share of scored items; in place of the test against the rate of the threshold.
    max_quarantine_rate : float, optional
        Share of all items.
    """

    false_alarms: float = QUIET_ALARMS
    max_flag_rate: float | None = None
    max_quarantine_rate: float | None = None


@dataclass(frozen=True)
class _Asked:
    """A check before its p-value is corrected: what it would be if the test rejects."""

    check: Check
    raw: float
    would_be: Level


def check_night(
    tally: Tally,
    baseline: Baseline | None,
    calibration: Calibration | None,
    limits: Limits = Limits(),
    *,
    past: Tally | None = None,
    quarantined: int = 0,
    flagged: int | None = None,
) -> list[Check]:
    """Ask everything of a night; alarms first, then what moved.

    Parameters
    ----------
    tally : Tally
    baseline : Baseline, optional
        Without one inputs are not compared.
    calibration : Calibration, optional
        Without one scores and flags are not compared.
    limits : Limits
    past : Tally, optional
        Of earlier nights that the same model scored.
    quarantined : int
        Items that were not scored.
    flagged : int, optional
        Items that were flagged, for the limit on them. By default those of the tally, which counts
        by the model's own threshold.
    """
    asked = [*_inputs(tally.whole, baseline)]
    if calibration is not None:
        asked += _scores(tally.whole, calibration)
        if limits.max_flag_rate is None:
            asked += _flags(tally.whole, calibration)
    asked += _groups(tally, baseline, past or Tally())
    counts = tally.whole if flagged is None else replace(tally.whole, flagged=flagged)
    answered = [*_corrected(asked, limits.false_alarms), *_over(counts, limits, quarantined)]
    order = {"alarm": 0, "moved": 1, "quiet": 2}
    return sorted(answered, key=lambda check: (order[check.level], -check.size))


def _corrected(asked: Sequence[_Asked], false_alarms: float) -> Iterator[Check]:
    """Correct by Holm within each family, and share the false alarms evenly among families."""
    families = sorted({one.check.family for one in asked})
    for family in families:
        own = [one for one in asked if one.check.family == family]
        for one, corrected in zip(own, holm([one.raw for one in own]), strict=True):
            p_value = min(1.0, len(families) * corrected)
            level = one.would_be if p_value <= false_alarms else "quiet"
            yield replace(one.check, p_value=p_value, level=level)


# ------------------------------------------------------------------ inputs


def _inputs(
    counts: GroupCounts,
    baseline: Baseline | None,
    group: str = "",
    past: Mapping[str, VariableCounts] | None = None,
) -> Iterator[_Asked]:
    for place, variable in enumerate(baseline.variables if baseline else ()):
        now = counts.variables.get(variable.name)
        if now is None or not sum(now.counts) + now.missing:
            continue
        known, before = not group, (past or {}).get(variable.name)
        if baseline is not None and group in baseline.groups:
            own = baseline.groups[group][place]
            variable, known = replace(variable, counts=own, missing=0), True
        elif before is not None:
            known = True
            variable = replace(variable, counts=before.counts, missing=before.missing)
        yield _input(variable, now, group, is_known=known)


def _input(variable: Variable, now: VariableCounts, group: str, *, is_known: bool) -> _Asked:
    """Compare a variable with training.

    Of a group that training had not no alarm follows, nor of images that only a meter tells apart.
    """
    psi, level = _stability(variable, now)
    if level == "alarm" and (not is_known or has_hardly_moved(variable, now)):
        level = "moved"
    empty = [(sum(one.counts), one.missing) for one in (variable, now)]
    raw = min(1.0, 2 * min(_distribution(variable, now), chi_square(*empty)))
    check = Check(
        "groups" if group else "inputs", variable.name, group, psi, None, level,
        moved_words(variable, now, psi, group),
    )  # fmt: skip
    return _Asked(check, raw, level)


def _stability(variable: Variable, now: VariableCounts) -> tuple[float, Level]:
    """Return the index over at most ten bins and the empty cells, and what it amounts to."""
    before, after = variable.counts, now.counts
    if variable.shape != "category":
        cells = merged_cells(before)
        before, after = (tuple(added_up(counts, cells).tolist()) for counts in (before, after))
    psi = population_stability([*before, variable.missing], [*after, now.missing])
    return psi, _level(psi)


def _distribution(variable: Variable, now: VariableCounts) -> float:
    if variable.shape == "category":
        return chi_square(variable.counts, now.counts)
    return float(kolmogorov_smirnov(variable.counts, now.counts)[1])


def _level(psi: float) -> Level:
    if not psi >= MODERATE:
        return "quiet"
    return "alarm" if psi >= LARGE else "moved"


# ------------------------------------------------------------------ scores and flags


def _scores(counts: GroupCounts, calibration: Calibration) -> Iterator[_Asked]:
    before, now = calibration.p_values[_BULK:], counts.p_values[_BULK:]
    if not sum(before) or not sum(now):
        return
    share = sum(before) / sum(calibration.p_values)
    yield _of_scores(before, now, "", calibration.worth * share)


def _of_scores(
    before: Sequence[float],
    now: Sequence[int],
    group: str,
    worth: float | None = None,
    *,
    whom: str = "",
) -> _Asked:
    psi = population_stability(*(added_up(counts, _pairs(len(before))) for counts in (before, now)))
    raw = float(kolmogorov_smirnov(before, now, worth)[1])
    centre = [_mean_p(counts) for counts in (before, now)]
    side = "more" if centre[1] < centre[0] else "less"
    text = (
        f"items {f'of {group!r} ' if group else ''}that are not anomalous look {side} unusual than "
        f"{_THAN.get(whom, 'held-out normals')}: mean p-value {centre[1]:.2f}, was "
        f"{centre[0]:.2f} (PSI {psi:.2f})"
    )
    family: Family = "groups" if group else "scores"
    return _Asked(Check(family, "p-values", group, psi, None, "quiet", text), raw, _level(psi))


def _pairs(n: int) -> Ints:
    return np.arange(n, dtype=np.int64) // 2


def _mean_p(counts: Sequence[float]) -> float:
    middles = (np.arange(len(counts)) + 0.5 + P_BINS - len(counts)) / P_BINS
    return float(np.average(middles, weights=counts))


def _flags(counts: GroupCounts, calibration: Calibration) -> Iterator[_Asked]:
    if not counts.n:
        return
    raw = excess_flags(counts.flagged, counts.n, calibration.above, calibration.worth)
    expected = (calibration.above + 1) / (calibration.worth + 1)
    rate = counts.flagged / counts.n
    text = f"{rate:.2%} of the items are flagged, {expected:.2%} of normal ones would be"
    size = rate / expected
    level: Level = "alarm" if size >= MORE_FLAGS else "quiet"
    yield _Asked(Check("flags", "flag rate", "", size, None, level, text), raw, level)


def _over(counts: GroupCounts, limits: Limits, quarantined: int) -> Iterator[Check]:
    """Compare shares with the limits that were set."""
    rates = (
        ("flag rate", counts.flagged, counts.n, limits.max_flag_rate, "flagged"),
        ("quarantine rate", quarantined, counts.n + quarantined, limits.max_quarantine_rate,
         "in quarantine"),
    )  # fmt: skip
    for name, count, n, limit, verb in rates:
        if limit is None or not n:
            continue
        rate = count / n
        text = f"{rate:.2%} of the items are {verb}, and {limit:.2%} are allowed"
        level: Level = "alarm" if rate > limit else "quiet"
        size = rate / limit if limit else float(count)
        yield Check("limits", name, "", size, None, level, text)


# ------------------------------------------------------------------ groups


def _groups(tally: Tally, baseline: Baseline | None, past: Tally) -> Iterator[_Asked]:
    """Compare each group with itself: in training, or on earlier nights.

    Groups differ from each other on quiet nights too. So where a group has no past, what sets it
    apart from the others of the night is told, and is no alarm.
    """
    if len(tally.groups) < 2:
        return
    for name, own in tally.groups.items():
        before = past.groups.get(name, GroupCounts())
        has_past = before.n >= _FEWEST
        yield from _group_quarantine(name, own, before, tally.whole)
        if own.n < _FEWEST:
            continue
        yield from _inputs(own, baseline, name, before.variables if has_past else {})
        others = before if has_past else _others(tally.whole, own)
        yield from _group_scores(name, own, others, has_past=has_past)


def _others(whole: GroupCounts, own: GroupCounts) -> GroupCounts:
    p_values = tuple(a - b for a, b in zip(whole.p_values, own.p_values, strict=True))
    return GroupCounts(whole.n - own.n, whole.flagged - own.flagged, p_values)


def _group_scores(
    name: str, own: GroupCounts, others: GroupCounts, *, has_past: bool
) -> Iterator[_Asked]:
    whom = "before" if has_past else "of all others"
    if sum(others.p_values[_BULK:]) and sum(own.p_values[_BULK:]):
        asked = _of_scores(others.p_values[_BULK:], own.p_values[_BULK:], name, whom=whom)
        yield asked if has_past else _no_alarm(asked)
    if others.n < _FEWEST:
        return
    counts = (own.flagged, own.n), (others.flagged, others.n)
    asked = _of_shares("flag rate", name, *counts, f"are flagged, {{}} {whom}")
    yield asked if has_past else _no_alarm(asked)


def _group_quarantine(
    name: str, own: GroupCounts, before: GroupCounts, whole: GroupCounts
) -> Iterator[_Asked]:
    """Compare the share of a group that could not be scored with its past, else with the others."""
    has_past = before.n + before.quarantined >= _FEWEST
    others = before.n + before.quarantined, before.quarantined
    if not has_past:
        others = (
            whole.n + whole.quarantined - own.n - own.quarantined,
            whole.quarantined - own.quarantined,
        )
    n = own.n + own.quarantined
    if min(n, others[0]) < _FEWEST or others[1] < 0:
        return
    whom = "on earlier nights" if has_past else "of all others"
    counts = (own.quarantined, n), (others[1], others[0])
    asked = _of_shares("quarantine rate", name, *counts, f"could not be scored, {{}} {whom}")
    yield asked if has_past else _no_alarm(asked)


def _of_shares(
    what: str, group: str, own: tuple[int, int], others: tuple[int, int], words: str
) -> _Asked:
    """Ask whether a group has more of something than others: counts and items of both."""
    (count, n), (other_count, other_n) = own, others
    rate, other = count / n, other_count / other_n
    law = stats.hypergeom(n + other_n, count + other_count, n)
    raw = float(law.sf(count - 1)) if rate > other else 1.0  # below it is no small number
    size = rate / max(other, 1 / other_n)
    text = f"{rate:.1%} of the items of {group!r} {words.format(f'{other:.1%}')}"
    is_large = size >= MORE_FLAGS and rate - other >= _GROUP_MORE
    level: Level = "alarm" if is_large else "quiet"
    return _Asked(Check("groups", what, group, size, None, level, text), raw, level)


def _no_alarm(asked: _Asked) -> _Asked:
    return replace(asked, would_be="moved") if asked.would_be == "alarm" else asked
