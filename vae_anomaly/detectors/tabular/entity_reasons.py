"""Words for the columns that are relative to an entity's own past."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd

from vae_anomaly.data.tables.entity_features import HISTORY_DAYS
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories

MUCH = 1.5  # from this ratio a multiple is told
Phrase = Callable[[pd.Series], str]
Teller = Callable[[EntityColumns, str, float, pd.Series], str]


def entity_phrases(entities: EntityHistories) -> Mapping[str, Phrase]:
    """Return for each column of the histories what turns a typed row into a reason."""
    columns = entities.columns
    return {
        f"{entity}: {feature}": partial(_phrase, columns, entity, feature)
        for entity in columns.entities
        for feature in _TELLERS
    }


def _phrase(columns: EntityColumns, entity: str, feature: str, row: pd.Series) -> str:
    value = float(row[f"{entity}: {feature}"])
    if math.isnan(value):
        return f"no row of this {entity} in the last {HISTORY_DAYS} days"
    return _TELLERS[feature](columns, entity, value, row)


def _usual(columns: EntityColumns, entity: str, value: float, row: pd.Series) -> str:
    """Compare the amount with the median; the row holds their log ratio, and often the amount."""
    amount = float(row.get(columns.amount, math.nan))
    ratio = math.exp(value)
    if math.isnan(amount):
        return f"{columns.amount} is {_times(ratio)} what is usual for this {entity}"
    usual = max((max(amount, 0.0) + 1.0) / ratio - 1.0, 0.0)
    words = f"{columns.amount} {_short(amount)}"
    if usual > 0.0 and amount / usual >= MUCH:
        return f"{words} is {_times(amount / usual)} this {entity}'s usual {_short(usual)}"
    return f"{words} where {_short(usual)} is usual for this {entity}"


def _deviations(columns: EntityColumns, entity: str, value: float, row: pd.Series) -> str:
    side = "above" if value > 0.0 else "below"
    amount = float(row.get(columns.amount, math.nan))
    words = columns.amount if math.isnan(amount) else f"{columns.amount} {_short(amount)}"
    return f"{words} lies {abs(value):.3g} usual spreads {side} this {entity}'s median"


def _level(what: str, columns: EntityColumns, entity: str, value: float, row: pd.Series) -> str:
    ratio = math.exp(value)
    return f"mean {columns.amount} of this {entity} {what} is {_times(ratio)} its usual"


def _pace(columns: EntityColumns, entity: str, value: float, row: pd.Series) -> str:
    return f"rows of this {entity} in the last day: {_times(math.exp(value))} its daily rate"


def _gap(columns: EntityColumns, entity: str, value: float, row: pd.Series) -> str:
    hours = math.expm1(value)
    if hours < 1.0:
        return f"{60.0 * hours:.0f} minutes after the last row of this {entity}"
    gap = f"{hours:.0f} hours" if hours < 48.0 else f"{hours / 24.0:.0f} days"
    return f"first row of this {entity} for {gap}"


def _times(ratio: float) -> str:
    return f"{ratio:.3g} times" if ratio < 99.5 else f"{ratio:,.0f} times"


def _short(value: float) -> str:
    """Write an amount with three digits, or all those before the point."""
    return f"{value:,.0f}" if abs(value) >= 99.5 else f"{value:.3g}"


_TELLERS: dict[str, Teller] = {
    "amount / usual": _usual,
    "amount z": _deviations,
    "day / usual": partial(_level, "in the last day"),
    "week / usual": partial(_level, "in the last 7 days"),
    "pace": _pace,
    "hours since last": _gap,
}
