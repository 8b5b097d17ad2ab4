"""What a training keeps for the page of its model, inside the model: no store is asked for it.

It holds no time and no path of the machine, so that the same training makes the same model; and no
cell of a column that names persons, places or rows.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from vae_anomaly.metrics import Interval
from vae_anomaly.reports.facts.items import ReviewItem

ItemNumber = Annotated[int, Field(ge=0, lt=2**53)]
UnitShare = Annotated[float, Field(ge=0, le=1)]
Nats = Annotated[float, Field(ge=-1e15, le=1e15)]
STATED_RATES: Final = (0.05, 0.01, 0.001)
"""False-positive rates that are held against what held-out normals reached."""


@dataclass(frozen=True)
class TimeSpan:
    """First and last time of a timestamp column, ISO text."""

    column: str
    first: str
    last: str

    def __post_init__(self) -> None:
        first, last = map(datetime.fromisoformat, (self.first, self.last))
        if first.utcoffset() != last.utcoffset() or first > last:
            raise ValueError(f"the times of {self.column!r} are no span")


@dataclass(frozen=True)
class ColumnRange:
    """What training rows have in a column that the model reads.

    Parameters
    ----------
    missing : float in [0, 1]
        UnitShare of empty cells.
    low, middle, high : str
        1 %, 50 % and 99 % of numbers; empty for other kinds.
    frequent : tuple of (str, float)
        The most frequent values of categories and booleans with their shares.
    n_values : int
        How many different ones there are.
    """

    name: str
    missing: UnitShare
    low: str = ""
    middle: str = ""
    high: str = ""
    frequent: tuple[tuple[str, UnitShare], ...] = ()
    n_values: ItemNumber = 0


@dataclass(frozen=True)
class ReachedRate:
    """A stated false-positive rate, and the share of held-out normals that lay beyond it.

    The bound for each was made from other held-out normals: a tenth of them at a time.
    """

    stated: UnitShare
    n: ItemNumber
    beyond: ItemNumber
    reached: Interval


@dataclass(frozen=True)
class GroupRate:
    """The same for one group of normals: a part, a lot, a camera, a customer."""

    name: str
    n: ItemNumber
    beyond: ItemNumber
    reached: Interval


@dataclass(frozen=True)
class HeldOutFacts:
    """How the calibration held on held-out normals.

    Parameters
    ----------
    how : str
        In words, which normals judged which.
    rates : tuple of ReachedRate
    group_rate : float
        Stated rate that the groups are held against.
    groups : tuple of GroupRate
        Those with the highest shares beyond, the highest first.
    n_groups : int
        0 where every item stands for itself.
    """

    how: str
    rates: tuple[ReachedRate, ...]
    group_rate: UnitShare = 0.01
    groups: tuple[GroupRate, ...] = ()
    n_groups: ItemNumber = 0


@dataclass(frozen=True)
class LossCurves:
    """How the networks learned, nats per item, record by record.

    Parameters
    ----------
    steps : tuple of int
    series : tuple of (str, tuple of float or None)
        ``train_nll, val_nll, train_kl, val_kl, val_elbo``; None where not measured.
    best_step : int
        Whose weights were kept.
    """

    steps: tuple[ItemNumber, ...]
    series: tuple[tuple[str, tuple[Nats | None, ...]], ...]
    best_step: ItemNumber

    def __post_init__(self) -> None:
        _same_lengths("steps", self.steps, *(values for _, values in self.series))


@dataclass(frozen=True)
class RankingPoints:
    """A curve of ROC and precision over recall, thinned, with the operating point.

    Parameters
    ----------
    fpr, recall, precision : tuple of float
        At falling thresholds.
    at : tuple of (float, float, float)
        The same at the threshold of the model.
    base_rate : float
        UnitShare of anomalies: what chance reaches in precision.
    """

    fpr: tuple[UnitShare, ...]
    recall: tuple[UnitShare, ...]
    precision: tuple[UnitShare, ...]
    at: tuple[UnitShare, UnitShare, UnitShare]
    base_rate: UnitShare

    def __post_init__(self) -> None:
        _same_lengths("points", self.fpr, self.recall, self.precision)


@dataclass(frozen=True)
class KindRate:
    """How many items of a kind were flagged."""

    name: str
    n: ItemNumber
    flagged: ItemNumber
    share: Interval


@dataclass(frozen=True)
class EvaluationFacts:
    """What was measured against labels.

    Parameters
    ----------
    source : str
        In words, on what.
    when : str
        ISO time; empty of a training.
    figures : tuple of (str, Interval)
        By the names of `EvaluationReport.figures`.
    by : tuple of (str, tuple of KindRate, tuple of KindRate)
        For each column: its name; false alarms and finds for each of its values.
    """

    source: str
    n_normals: ItemNumber
    n_anomalies: ItemNumber
    figures: tuple[tuple[str, Interval], ...]
    when: str = ""
    kinds: tuple[KindRate, ...] = ()
    by: tuple[tuple[str, tuple[KindRate, ...], tuple[KindRate, ...]], ...] = ()
    curve: RankingPoints | None = None


@dataclass(frozen=True)
class TrainingCard:
    """What training knew and the model alone would not tell.

    Parameters
    ----------
    source : str
        In words, how much was read from where; folders by their last name.
    n_normals : int
        Rows or images that were fitted or held out.
    n_read, n_labelled : int
        Items in the input, and those labelled as anomalies, which no training sees.
    passed_over : tuple of (str, int)
        Images that were not trained on, by reason.
    notes, warnings : tuple of str
        What its owner should know.
    spans : tuple of TimeSpan
    n_groups : int
        0 where there are none.
    columns : tuple of ColumnRange
    losses : LossCurves, optional
    held_out : HeldOutFacts, optional
    evaluation : EvaluationFacts, optional
    strangest : tuple of ReviewItem
        Held-out training items with the highest scores, as those saw them that had not seen them.
    strangest_latents : tuple of tuple of float
        Where these lie, at the latents of ``map_axes``.
    map_axes : tuple of int
        The two latents that vary most between training normals.
    """

    source: str
    n_normals: ItemNumber
    n_read: ItemNumber = 0
    n_labelled: ItemNumber = 0
    passed_over: tuple[tuple[str, ItemNumber], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    spans: tuple[TimeSpan, ...] = ()
    n_groups: ItemNumber = 0
    columns: tuple[ColumnRange, ...] = ()
    losses: LossCurves | None = None
    held_out: HeldOutFacts | None = None
    evaluation: EvaluationFacts | None = None
    strangest: tuple[ReviewItem, ...] = ()
    strangest_latents: tuple[tuple[float, ...], ...] = ()
    map_axes: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        if len(self.map_axes) not in (0, 2) or any(axis < 0 for axis in self.map_axes):
            raise ValueError("a map has two axes")
        if any(len(place) != len(self.map_axes) for place in self.strangest_latents):
            raise ValueError("a place on the map has two coordinates")


def _same_lengths(what: str, *columns: Sized) -> None:
    if len(set(map(len, columns))) > 1 or not len(columns[0]):
        raise ValueError(f"a curve has other {what} than values")
