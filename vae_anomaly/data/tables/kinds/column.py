"""One column of a schema: its name, its kind, and why it has that kind."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

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
