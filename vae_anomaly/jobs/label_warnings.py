"""Say of a training which columns look like the label, and what that means for the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from vae_anomaly.data.tables.families import listed_columns
from vae_anomaly.data.tables.kinds import (
    Column,
    ColumnKind,
    infer_column,
    likeliest_label,
    told_by,
)
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.jobs.training_rows import TableColumns
from vae_anomaly.names import typed
from vae_anomaly.words import number_of, verb_for


def label_warnings(schema: Schema, frame: pd.DataFrame, columns: TableColumns) -> tuple[str, ...]:
    """Name the columns of training rows that hold the answer or are called so, with the remedy.

    Those that are left out are one warning, those that the model reads another.
    """
    suspects = [c for c in schema.columns if c.role == "label" and _is_news(c, columns)]
    left_out = [column for column in suspects if column.kind is ColumnKind.IGNORED]
    read = [column for column in suspects if column.kind is not ColumnKind.IGNORED]
    return (*_of_left_out(left_out, frame, columns), *_of_read(read, columns.label))


def _is_news(column: Column, columns: TableColumns) -> bool:
    """Tell whether a person has not decided about a column already."""
    return column.kind is ColumnKind.IGNORED or column.name not in columns.declared


def _of_left_out(
    suspects: Sequence[Column], frame: pd.DataFrame, columns: TableColumns
) -> Iterator[str]:
    if not suspects:
        return
    first = suspects[0]
    keep = f"keep it with --kind {typed(f'{first.name}={_kind_of(first, frame)}')}"
    trained_on = "".join(_trained_on(suspects, frame)) if columns.label is None else ""
    if len(suspects) == 1:
        yield (
            f"column {first.name!r} {first.note}: the model does not read it. {trained_on}"
            f"If it is no label, {keep}"
        )
    else:
        yield (
            "columns that look like the label, which the model does not read: "
            f"{listed_columns(c.name for c in suspects)}. {trained_on}If one is no label, {keep}"
        )


def _of_read(suspects: Sequence[Column], label: str | None) -> Iterator[str]:
    if not suspects:
        return
    name = suspects[0].name
    remedy = typed("--ignore", name)
    if not label:
        remedy = f"{typed('--labels', name)} or {remedy}"
    if len(suspects) == 1:
        yield (
            f"column {suspects[0].name!r} may be a label, by its name or its words; the model "
            f"reads it. If it is one, give {remedy}"
        )
    else:
        yield (
            "columns that may be labels, by their names or their words, and that the model reads: "
            f"{listed_columns(c.name for c in suspects)}. If one is a label, give {remedy}"
        )


def _kind_of(column: Column, frame: pd.DataFrame) -> str:
    """Return the kind that keeps a column; normal rows alone may show one of two truth values."""
    cells = frame[column.name]
    if cells.dropna().isin([0, 1]).all():
        return ColumnKind.BOOLEAN.value
    return infer_column(column.name, cells).kind.value


def _trained_on(suspects: Sequence[Column], frame: pd.DataFrame) -> Iterator[str]:
    """Say how many anomalies counted as normal, where nobody named the label."""
    likely = likeliest_label(suspects, {c.name: frame[c.name] for c in suspects})
    told = told_by(likely.name, frame[likely.name])
    if told is not None:
        who = "it" if len(suspects) == 1 else repr(likely.name)
        yield (
            f"The {number_of(told.sum(), 'row')} that {who} calls anomalous ({told.mean():.2%}) "
            f"{verb_for(told.sum(), 'was', 'were')} trained on as normal. Train again with "
            f"--labels {typed(likely.name)}. "
        )
