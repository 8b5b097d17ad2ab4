"""Say of a training which columns look like the label, and what that means for the model."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pandas as pd

from vae_anomaly.data.tables.kinds import Column, ColumnKind, infer_column, told_by
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.jobs.training_rows import TableColumns


def label_warnings(schema: Schema, frame: pd.DataFrame, columns: TableColumns) -> tuple[str, ...]:
    """Name the columns of training rows that hold the answer or are called so, with the remedy."""
    suspects = (column for column in schema.columns if column.role == "label")
    return tuple(
        _warning(column, frame, columns) for column in suspects if _is_news(column, columns)
    )


def _is_news(column: Column, columns: TableColumns) -> bool:
    """Tell whether a person has not decided about a column already."""
    return column.kind is ColumnKind.IGNORED or column.name not in columns.declared


def _warning(column: Column, frame: pd.DataFrame, columns: TableColumns) -> str:
    name = shlex.quote(column.name)
    if column.kind is not ColumnKind.IGNORED:
        return (
            f"column {column.name!r} may be a label, by its name or its words; the model reads it. "
            f"If it is one, give --labels {name} or --ignore {name}"
        )
    kind = infer_column(column.name, frame[column.name]).kind.value
    return (
        f"column {column.name!r} {column.note}: the model does not read it. "
        f"{''.join(_trained_on(column, frame, columns))}"
        f"If it is no label, keep it with --kind {shlex.quote(f'{column.name}={kind}')}"
    )


def _trained_on(column: Column, frame: pd.DataFrame, columns: TableColumns) -> Iterator[str]:
    """Say how many anomalies counted as normal, where nobody named the label."""
    if columns.label is not None:
        return
    told = told_by(column.name, frame[column.name])
    if told is not None:
        yield (
            f"The {told.sum():,} rows that it calls anomalous ({told.mean():.2%}) were trained on "
            f"as normal. Train again with --labels {shlex.quote(column.name)}. "
        )
