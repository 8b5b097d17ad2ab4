"""What a night's items looked like, counted while they are scored; counts of partitions add up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from vae_anomaly.arrays import Ints
from vae_anomaly.monitoring.baseline import Baseline, BinCounts, ItemCount, Variable
from vae_anomaly.state import Json

P_BINS: Final = 20
"""Bins of equal width for p-values in (0, 1]."""
MOST_TALLIED: Final = 64
"""Groups that are counted apart; items of later ones count for the whole alone."""
OTHERS: Final = ""

PCounts = Annotated[tuple[ItemCount, ...], Field(min_length=P_BINS, max_length=P_BINS)]
GroupName = Annotated[str, Field(max_length=512)]
Time = Annotated[str, Field(max_length=40)]
_NO_P: Final = (0,) * P_BINS


@dataclass(frozen=True)
class VariableCounts:
    """How many items of a night lay in each bin of a variable, and how many had no value."""

    counts: BinCounts
    missing: ItemCount = 0

    def __add__(self, other: VariableCounts) -> VariableCounts:
        """Add bin by bin."""
        added = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return VariableCounts(added, self.missing + other.missing)


@dataclass(frozen=True)
class GroupCounts:
    """What was counted of the items of one group, or of all.

    Parameters
    ----------
    n, flagged : int
        Scored items.
    p_values : tuple of 20 int
        In bins of equal width from 0 to 1.
    variables : dict of str to VariableCounts
    quarantined : int
        Items that were not scored, beside the others; earlier versions counted none.
    """

    n: ItemCount = 0
    flagged: ItemCount = 0
    p_values: PCounts = _NO_P
    variables: dict[str, VariableCounts] = field(default_factory=dict)
    quarantined: ItemCount = 0

    def __add__(self, other: GroupCounts) -> GroupCounts:
        """Add count by count."""
        return GroupCounts(
            self.n + other.n,
            self.flagged + other.flagged,
            tuple(a + b for a, b in zip(self.p_values, other.p_values, strict=True)),
            _added(self.variables, other.variables),
            self.quarantined + other.quarantined,
        )

    def fits(self, baseline: Baseline | None) -> bool:
        """Tell whether the counts are those of the baseline's bins."""
        sizes = {one.name: len(one.counts) for one in baseline.variables} if baseline else {}
        return all(sizes.get(name) == len(own.counts) for name, own in self.variables.items())


@dataclass(frozen=True)
class Tally:
    """What was counted of a partition, or of a night.

    Parameters
    ----------
    whole : GroupCounts
    groups : dict of str to GroupCounts
        Folders of images, or values of the column that rows are grouped by; at most 64.
    until : str, optional
        The latest time that a row tells, ISO 8601.
    """

    whole: GroupCounts = GroupCounts()
    groups: dict[GroupName, GroupCounts] = field(default_factory=dict)
    until: Time | None = None

    def __add__(self, other: Tally) -> Tally:
        """Add up two partitions."""
        groups = dict(self.groups)
        for name, own in other.groups.items():
            if name in groups or len(groups) < MOST_TALLIED:
                groups[name] = groups.get(name, GroupCounts()) + own
        until = max(filter(None, (self.until, other.until)), default=None)
        return Tally(self.whole + other.whole, groups, until)

    @classmethod
    def total(cls, tallies: Iterable[Self]) -> Tally:
        """Add up any number of partitions."""
        return sum(tallies, Tally())

    def fits(self, baseline: Baseline | None) -> bool:
        """Tell whether all counts are those of the baseline's bins."""
        return all(own.fits(baseline) for own in (self.whole, *self.groups.values()))

    def to_dict(self) -> Json:
        """Return it as a document; `state.from_json` reads it back."""
        return asdict(self)


def counted_scores(p_values: ArrayLike, is_anomaly: ArrayLike) -> GroupCounts:
    """ItemCount the verdicts on N items.

    Parameters
    ----------
    p_values : array-like of shape (N,), in (0, 1]
    is_anomaly : array-like of shape (N,), bool
    """
    values = np.asarray(p_values, np.float64)
    flagged = int(np.sum(np.asarray(is_anomaly, np.bool_)))
    return GroupCounts(int(values.size), flagged, tuple(p_bins(values).tolist()))


def p_bins(p_values: ArrayLike) -> Ints:
    """Return how many p-values lie in each bin, (20,); a bound counts in the bin below it."""
    places = np.ceil(np.asarray(p_values, np.float64) * P_BINS - 1e-9).astype(np.int64) - 1
    return np.bincount(places.clip(0, P_BINS - 1), minlength=P_BINS).astype(np.int64)


def count_measures(
    variables: Iterable[Variable], measures: Mapping[str, ArrayLike]
) -> dict[str, VariableCounts]:
    """ItemCount numbers of N items, variable by variable; NaN = missing."""
    counted = {}
    for variable in variables:
        numbers = np.asarray(measures[variable.name], np.float64)
        known = numbers[np.isfinite(numbers)]
        binned = tuple(variable.binned(known).tolist())
        counted[variable.name] = VariableCounts(binned, int(numbers.size - known.size))
    return counted


def _added(
    one: Mapping[str, VariableCounts], other: Mapping[str, VariableCounts]
) -> dict[str, VariableCounts]:
    added = dict(one)
    for name, own in other.items():
        added[name] = added[name] + own if name in added else own
    return added
