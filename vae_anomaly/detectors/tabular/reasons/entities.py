"""Say what is strange about a row beside its entity's own past.

The six columns of an entity tell three things: its amount, the mean amount of its last rows, and
how often it is seen. Each is said once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from vae_anomaly.data.tables.entity_features import HISTORY_DAYS
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.detectors.tabular.encode.columns import NumericColumn
from vae_anomaly.detectors.tabular.reasons.lone import STRANGE, is_empty
from vae_anomaly.detectors.tabular.reasons.wording import (
    Scale,
    duration,
    duration_range,
    multiple,
    name_of,
    share_words,
)

_MUCH = 1.5  # from this ratio a multiple is told
_MIDDLE_90 = 1.645  # standard deviations either side
_HOUR_S = 3600.0
_LARGEST_LOG = 100.0
_CENTS = 2
_AMOUNT, _LEVEL, _RHYTHM = "amount", "level", "rhythm"


@dataclass(frozen=True)
class EntityColumn:
    """One column of an entity's history."""

    declared: EntityColumns
    entity: str
    feature: str

    @property
    def subject(self) -> tuple[str, str]:
        """What the column tells of: columns of one subject say the same thing."""
        return self.entity, _FEATURES[self.feature][0]

    @property
    def this(self) -> str:
        """The entity, as a reason names it."""
        return this_one(self.entity)

    @property
    def amount(self) -> str:
        """The amount, as a reason names it."""
        return name_of(self.declared.amount)

    @property
    def name(self) -> str:
        """What the column tells of, in words."""
        words = {
            _AMOUNT: f"{self.amount} for {self.this}",
            _LEVEL: f"recent {self.amount} of {self.this}",
            _RHYTHM: f"pace of {self.this}",
        }
        return words[self.subject[1]]

    @property
    def label(self) -> str:
        """The column, as a person would name it; both that compare the amount are one."""
        return _LABELS[self.feature].format(amount=self.amount, this=self.this)

    def shown(self, column: NumericColumn, row: pd.Series) -> tuple[str, str, str]:
        """Say what a row has, what its entity lets one expect, and what is usual of all."""
        if self.subject[1] == _AMOUNT:
            return _shown_amount(self, column, row)
        value, empty = float(row[column.name]), is_empty(row[column.name])
        if self.feature == _GAP:
            return _NO_PAST if empty else duration(_seconds(value)), "", self.usual(column)
        return _NO_PAST if empty else _beside_its_usual(value), "", self.usual(column)

    def usual(self, column: NumericColumn) -> str:
        """Say what is usual of all rows beside the past of their entities."""
        low, high = column.quantiles[1], column.quantiles[-2]
        if self.feature == _GAP:
            return duration_range(_seconds(low), _seconds(high))
        if self.feature == _DEVIATIONS:
            return f"{low:.2g} to {high:.2g} standard deviations of its own"
        return f"{_times(low)} to {_times(high)} times its usual"

    def strange(self, column: NumericColumn, row: pd.Series) -> str | None:
        """Say why a row is strange beside the past of its entity; None where it is not."""
        if is_empty(row[column.name]):
            return _newcomer(self, column.gap_share)
        value = float(row[column.name])
        lowest, *_, highest = column.quantiles
        if lowest <= value <= highest:
            return None
        return _FEATURES[self.feature][1](self, column, row)


def entity_columns(entities: EntityHistories | None) -> Mapping[str, EntityColumn]:
    """Return the columns that a model's histories make, by name."""
    if entities is None:
        return {}
    return {
        f"{entity}: {feature}": EntityColumn(entities.columns, entity, feature)
        for entity in entities.columns.entities
        for feature in _FEATURES
    }


def _newcomer(one: EntityColumn, share: float) -> str | None:
    if share > STRANGE:
        return None
    often = f"as for {share_words(share)} training rows" if share > 0.0 else "never so in training"
    return f"no row of {one.this} in the last {HISTORY_DAYS} days, {often}"


def _beside_usual(one: EntityColumn, column: NumericColumn, row: pd.Series) -> str:
    """Compare the amount with the median; the row holds their log ratio, and often the amount."""
    ratio, amount = _ratio(row[column.name]), _amount(one, row)
    usual = _median(one, row)
    if amount is None or usual is None:
        return f"{one.amount} is {_compared(ratio)} what is usual for {one.this}"
    scale = Scale(max(usual, amount), _CENTS)
    here, there = scale.number(amount, usual), scale.number(usual, amount)
    if usual > 0.0 and amount / usual >= _MUCH:
        return f"{one.amount} {here}, {multiple(amount / usual)} the usual {there} of {one.this}"
    return f"{one.amount} {here}, usual for {one.this} is {there}"


def _shown_amount(one: EntityColumn, column: NumericColumn, row: pd.Series) -> tuple[str, str, str]:
    amount, usual = _amount(one, row), _median(one, row)
    if amount is None or usual is None:
        ratio, empty = row.get(f"{one.entity}: {_RATIO}", math.nan), is_empty(row[column.name])
        value = _NO_PAST if empty or is_empty(ratio) else _beside_its_usual(float(ratio))
        return value, "", ""
    deviations = float(row.get(f"{one.entity}: {_DEVIATIONS}", math.nan))
    scale = Scale(max(usual, amount), _CENTS)
    expected = f"about {scale.number(usual, amount)}"
    if math.isnan(deviations) or abs(deviations) < _NEARLY_0:
        return scale.number(amount, usual), expected, ""
    reach = _MIDDLE_90 * (amount - usual) / deviations
    low, high = max(usual - reach, 0.0), usual + reach
    usually = Scale(high - low, _CENTS).whole_range(low, high)
    usually = usually if low > 0.0 else f"up to {usually.removeprefix('0 to ')}"
    return scale.number(amount, usual), expected, usually


def this_one(entity: str) -> str:
    """Name the one that a row is about without its key: ``this customer`` of ``customer_id``."""
    return f"this {_of_whom(name_of(entity))}"


def _of_whom(name: str) -> str:
    """Return what an identifier identifies: ``customer`` of ``customer_id`` and ``CUSTOMER_ID``."""
    short = re.sub(r"(?<=\w)([_ -](id|ID)|Id)$", "", name)
    return short.lower() if short != name and short.isupper() else short


def _beside_its_usual(log_ratio: float) -> str:
    ratio = _ratio(log_ratio)
    return f"{100.0 * ratio:.2g} % of its usual" if ratio < 1.0 else f"{ratio:.2g} times its usual"


def _times(log_ratio: float) -> str:
    return f"{_ratio(log_ratio):.2g}"


def _seconds(log_hours: float) -> float:
    return _HOUR_S * (_ratio(log_hours) - 1.0)


def _beside_range(one: EntityColumn, column: NumericColumn, row: pd.Series) -> str:
    """Compare the amount with the middle 90 % of the entity's amounts."""
    deviations, amount, usual = float(row[column.name]), _amount(one, row), _median(one, row)
    if amount is None or usual is None:
        side = "above" if deviations > 0.0 else "below"
        return f"{one.amount} is far {side} what is usual for {one.this}"
    reach = _MIDDLE_90 * (amount - usual) / deviations
    low, high = max(usual - reach, 0.0), usual + reach
    scale = Scale(high - low, _CENTS)
    usually = scale.between(low, high, amount)
    usually = usually if low > 0.0 else f"up to {usually.removeprefix('0 to ')}"
    return f"{one.amount} {scale.number(amount, low, high)}, usual for {one.this} is {usually}"


def _recent(days: str) -> _Teller:
    def tell(one: EntityColumn, column: NumericColumn, row: pd.Series) -> str | None:
        ratio = _ratio(row[column.name])
        if 1.0 / _MUCH < ratio < _MUCH:
            return None
        return f"mean {one.amount} of {one.this} in the last {days} is {_compared(ratio)} its usual"

    return tell


def _pace(one: EntityColumn, column: NumericColumn, row: pd.Series) -> str | None:
    ratio = _ratio(row[column.name])
    if 1.0 / _MUCH < ratio < _MUCH:
        return None
    many = f"about {multiple(ratio)} its usual number of" if ratio >= _MUCH else "unusually few"
    return f"{one.this} has {many} rows in the last day"


def _gap(one: EntityColumn, column: NumericColumn, row: pd.Series) -> str:
    seconds = _seconds(row[column.name])
    _, low, *_, high, _ = (_seconds(value) for value in column.quantiles)
    if seconds > high:
        return f"first row of {one.this} for {duration(seconds)}, usual is at most {duration(high)}"
    return (
        f"{duration(seconds)} after the last row of {one.this}, usual is at least {duration(low)}"
    )


def _ratio(log_ratio: float) -> float:
    return math.exp(min(float(log_ratio), _LARGEST_LOG))


def _amount(one: EntityColumn, row: pd.Series) -> float | None:
    """Return the amount of a row, if the row holds one that ratios are formed of."""
    amount = float(row.get(one.declared.amount, math.nan))
    return amount if amount >= 0.0 else None


def _median(one: EntityColumn, row: pd.Series) -> float | None:
    """Return the entity's median amount, of which the row holds the log ratio."""
    amount, ratio = _amount(one, row), float(row.get(f"{one.entity}: {_RATIO}", math.nan))
    if amount is None or math.isnan(ratio):
        return None
    return max((amount + 1.0) / math.exp(ratio) - 1.0, 0.0)


def _compared(ratio: float) -> str:
    if ratio >= _MUCH:
        return multiple(ratio)
    return "above" if ratio >= 1.0 else "far below" if ratio <= 0.5 else "below"


_Teller = Callable[[EntityColumn, NumericColumn, pd.Series], str | None]
_RATIO, _DEVIATIONS, _GAP = "amount / usual", "amount z", "hours since last"
_NO_PAST = f"no earlier row in {HISTORY_DAYS} days"
_NEARLY_0 = 1e-6  # deviations, of which no range can be told
_LABELS = {
    _RATIO: "{amount} beside the usual of {this}",
    _DEVIATIONS: "{amount} beside the usual of {this}",
    "day / usual": "mean {amount} of {this} in the last day",
    "week / usual": "mean {amount} of {this} in the last 7 days",
    "pace": "number of rows of {this} in the last day",
    _GAP: "time since the last row of {this}",
}
_FEATURES: dict[str, tuple[str, _Teller]] = {
    _RATIO: (_AMOUNT, _beside_usual),
    _DEVIATIONS: (_AMOUNT, _beside_range),
    "day / usual": (_LEVEL, _recent("day")),
    "week / usual": (_LEVEL, _recent("7 days")),
    "pace": (_RHYTHM, _pace),
    _GAP: (_RHYTHM, _gap),
}
