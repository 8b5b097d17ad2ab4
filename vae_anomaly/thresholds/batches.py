"""Where to cut a batch of scores: false discoveries held down, or no more flags than can be seen.

Benjamini-Hochberg compares the k-th smallest of m p-values with ``fdr * k / m``. With n held-out
normals no p-value below 1 / (n + 1) can be counted; a smaller one is the fitted tail's, and the
promise then rests on that tail. So two cuts are made, with the p-values as they are and with none
below what was counted, and where they differ the threshold says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.metrics import Interval, grouped_interval, proportion_interval
from vae_anomaly.thresholds.conformal import calibration_units, smallest_fpr, varied_scores
from vae_anomaly.words import number_of, verb_for


@dataclass(frozen=True)
class PValues:
    """p-values of a batch, (N,), and the smallest that held-out normals can show."""

    values: Floats
    floor: float = 0.0  # below it p-values are extrapolated; 0 where it is not known
    basis: str = ""  # what was counted, such as "500 held-out normals"; empty where not known


def p_values(
    scores: Floats, normals: ArrayLike | None = None, groups: ArrayLike | None = None
) -> PValues:
    """Return the p-values of scores that are -log10 p, calibrated on held-out normals.

    With groups of the normals each item is ranked among one normal drawn from every group, averaged
    over all such draws, which is valid for an item of a new group:
    ``(1 + sum of the groups' shares at least as anomalous) / (K + 1)``. Beyond the most anomalous
    normal it goes on as the scores do.

    References
    ----------
    Dunn, Wasserman and Ramdas, Distribution-free prediction sets for two-layer hierarchical models,
    2023; Lee, Barber and Willett, Distribution-free inference with hierarchical data, 2023.
    """
    if normals is None:
        return PValues(10.0**-scores)
    held_out = varied_scores(normals)
    units = calibration_units(held_out.size, groups)
    floor, basis = smallest_fpr(units.count), f"{number_of(held_out.size, 'held-out normal')}"
    if groups is None:
        return PValues(10.0**-scores, floor, basis)
    order = np.argsort(held_out, kind="stable")
    from_top = np.append(np.cumsum(units.share[order][::-1])[::-1], 0.0)
    counted = floor + from_top[np.searchsorted(held_out[order], scores, side="left")]
    beyond = np.maximum(scores - held_out.max(), 0.0)
    return PValues(counted * 10.0**-beyond, floor, f"{number_of(units.count, 'group')} of {basis}")


@dataclass(frozen=True)
class DiscoveryCut:
    """How many items Benjamini-Hochberg flags, those with the smallest p-values."""

    flagged: int
    counted: int  # how many would be flagged with no p-value below what normals can show
    beyond: int  # flagged items whose p-value is below that


def discovery_cut(p: PValues, fdr: float) -> DiscoveryCut:
    """Cut a batch by Benjamini and Hochberg, 1995, with and without extrapolated p-values."""
    rising = np.sort(p.values)
    flagged = _passed(rising, fdr)
    # a margin for rounding: -log10 of 1 / (n + 1) and back is not exactly that
    beyond = int(np.sum(rising[:flagged] < p.floor * (1 - 1e-9)))
    return DiscoveryCut(flagged, _passed(np.maximum(rising, p.floor), fdr), beyond)


def _passed(rising: Floats, fdr: float) -> int:
    rank = np.arange(1, rising.size + 1)
    passed = np.flatnonzero(rising <= fdr * rank / rising.size)
    return int(passed[-1]) + 1 if passed.size else 0


def describe_discoveries(
    cut: DiscoveryCut, p: PValues, fdr: float, groups: ArrayLike | None
) -> str:
    """Say what was flagged of a batch, in how many of its groups, and on what that rests."""
    flagged = f"{cut.flagged:,} flagged" if cut.flagged else "none stands out enough to be flagged"
    sentences = [f"Made for one batch of {number_of(p.values.size, 'item')}: {flagged}."]
    if cut.flagged and groups is not None:
        names = np.asarray(groups).reshape(-1)
        held = np.unique(names[np.argsort(p.values, kind="stable")[: cut.flagged]]).size
        sentences.append(
            f"They come from {held:,} of {number_of(np.unique(names).size, 'group')}; items of one "
            "group are right or wrong together, so single batches stray further from the share."
        )
    if p.basis and cut.flagged:
        sentences.append(_on_what_it_rests(cut, p, fdr))
    return " ".join(sentences)


def _on_what_it_rests(cut: DiscoveryCut, p: PValues, fdr: float) -> str:
    least = f"the smallest p-value that {p.basis} can show, {p.floor:.2g}"
    if cut.counted == cut.flagged:
        return f"All flags hold with counted p-values: none has to be below {least}."
    fewest = math.ceil(p.floor * p.values.size / fdr * (1 - 1e-9))
    return (
        f"EXTRAPOLATED: {cut.beyond:,} of them have a p-value below {least}; the fitted tail says "
        f"it, not a count. With counted p-values {cut.counted or 'none'} would be flagged: they "
        f"can flag no fewer than {number_of(fewest, 'item')} of such a batch."
    )


def flagged_share(flags: Bools, groups: ArrayLike | None) -> tuple[Interval, int | None]:
    """Return the share of items flagged with its interval, and of how many groups they are."""
    if groups is None:
        return proportion_interval(float(flags.sum()), float(flags.size)), None
    units = calibration_units(flags.size, groups)
    return grouped_interval(flags, np.ones(flags.size), units.unit), units.count


def describe_share(share: Interval, volume: float | None, n_groups: int | None) -> str:
    """Say how many items are flagged, and how far other days may stray from it."""
    text = f"Flags {share.estimate:.3%} of all items [{share.low:.3%}, {share.high:.3%}]"
    if volume is not None:
        day = share.scaled(volume)
        text += f", on average {day.estimate:.3g} a day ({day.low:.3g} to {day.high:.3g})"
    return text + ("." if n_groups is None else f", as {number_of(n_groups, 'group')} tell it.")


def left_unflagged(scores: Floats, value: float) -> str:
    """Say that a tie at the bound was not split."""
    tied = int(np.sum(scores == value))
    share, stay = verb_for(tied, "shares", "share"), verb_for(tied, "stays", "stay")
    items = number_of(tied, "item")
    return f"{items} {share} the score at the bound and {stay} unflagged: fewer than asked."
