"""One column of a schema: its name, its kind, and why it has that kind."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, field_validator

from vae_anomaly.arrays import Floats
from vae_anomaly.data.tables import cells

Stored = Literal["number", "boolean", "time", "text"]
Part = Literal["hour", "weekday", "days"]
Role = Literal["label", "person", "place", "clock", "identifier"]


class ColumnKind(StrEnum):
    """What a column is to a model."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    IDENTIFIER = "identifier"
    IGNORED = "ignored"


FEATURE_KINDS: Final = frozenset(
    {ColumnKind.NUMERIC, ColumnKind.CATEGORICAL, ColumnKind.BOOLEAN, ColumnKind.TIMESTAMP}
)


class Column(BaseModel):
    """One column: its name, its kind, and why it has that kind.

    Parameters
    ----------
    note : str
        Why, in words; free text.
    stored : str, optional
        How the training data held it: "number", "boolean", "time", "text"; None does not matter.
    time_format : str, optional
        How text dates or numbers since 1970 are read; see
        `vae_anomaly.data.tables.cells.time_formats`.
    parts : tuple of {"hour", "weekday", "days"}, optional
        What a model reads of a timestamp: where in the day, where in the week, the days to the
        other timestamps. None: all of it.
    number_format : str, optional
        How text writes numbers, such as "1.234,5 €"; None for plain numbers. See
        `vae_anomaly.data.tables.cells.number_formats`.
    missing : tuple of str
        Words and numbers that stand for a missing cell in this column, beside the known ones.
    doubt : str
        What the cells leave open, with the options that say it; "" where nothing is.
    role : str, optional
        What the column tells beside the event itself: the answer ("label"), who ("person"), where
        someone lives ("place"), when ("clock"), which one ("identifier"). Only `kind` decides
        whether a model reads it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: ColumnKind
    note: str = ""
    stored: Stored | None = None
    time_format: cells.TimeFormat | None = None
    parts: tuple[Part, ...] | None = None
    role: Role | None = None
    number_format: str | None = None
    missing: tuple[str, ...] = ()
    doubt: str = ""

    @field_validator("number_format")
    @classmethod
    def _number_format_exists(cls, text: str | None) -> str | None:
        return None if text is None else str(cells.NumberFormat.parse(text))

    @property
    def numbers(self) -> cells.NumberFormat | None:
        """How its numbers are written; None for plain ones."""
        return None if self.number_format is None else _parsed(self.number_format)

    def numbers_in(self, series: pd.Series) -> Floats:
        """Read cells of the column as numbers, shape (N,); NaN where missing or none."""
        known = cells.without_words(series, self.missing)
        return cells.read_numbers(known, self.numbers)[0]


_parsed = lru_cache(cells.NumberFormat.parse)
