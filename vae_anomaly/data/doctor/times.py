"""Check what tells the time: clocks, dates that could be two, dates that stand for none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from vae_anomaly.data.doctor.report import Finding, Severity, finding
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds import AMBIGUOUS_NOTE, SUSPECT_NOTE, ColumnKind
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.words import number_of

FAR_DATE_SHARE, FAR_DATE_DAYS = 0.005, 5 * 365


def time_findings(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    """Report elapsed_time, possible_clock, ambiguous_dates and placeholder_dates."""
    yield from _elapsed(schema)
    yield from _ambiguous_dates(schema)
    yield from _placeholder_dates(schema, frame)


def _elapsed(schema: Schema) -> Iterator[Finding]:
    """Report what is left out as a clock, and what may be one."""
    names = [
        f"{c.name}: {c.note.partition('. ')[0]}"  # what to do about it stands in the remedy, once
        for c in schema.columns
        if c.kind is ColumnKind.IGNORED and c.role == "clock"
    ]
    if names:
        yield finding(
            Severity.INFO,
            "elapsed_time",
            f"Columns that only tell the time again, which are ignored: {len(names)}.",
            "Nothing. If the level itself matters, as wear does: --kind NAME=numeric; if it is a "
            "date: --kind NAME=timestamp.",
            names,
        )
    suspects = [c.name for c in schema.features if SUSPECT_NOTE in c.note]
    if suspects:
        yield finding(
            Severity.WARNING,
            "possible_clock",
            f"Numbers that may tell the time, by name and by how they are spread: {len(suspects)}.",
            "If they count on from day to day, every later row is an alarm: leave them out with "
            "--ignore, or sort the rows by time and check again.",
            suspects,
        )


def _ambiguous_dates(schema: Schema) -> Iterator[Finding]:
    """Report dates that could be read day first or month first."""
    names = [f"{c.name}: {c.note}" for c in schema.columns if AMBIGUOUS_NOTE in c.note]
    if names:
        yield finding(
            Severity.WARNING,
            "ambiguous_dates",
            f"Columns of dates of which nothing tells day from month: {len(names)}.",
            "Say how they are written with --time-format COLUMN=day_first or COLUMN=month_first.",
            names,
        )


def _placeholder_dates(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    """Report single dates, far from all others, that many cells have: 1900-01-01, 2099-12-31."""
    found = []
    for column in schema.features:
        if column.kind is not ColumnKind.TIMESTAMP:
            continue
        times = cells.closed(cells.read_times(frame[column.name], column.time_format)[0])
        days = pd.Series(times[~np.isnat(times)]).dt.floor("D").value_counts().sort_index()
        found += [
            f"{column.name}: {day:%Y-%m-%d} in {number_of(n, 'cell')}" for day, n in _apart(days)
        ]
    if found:
        yield finding(
            Severity.WARNING,
            "placeholder_dates",
            f"Dates that may stand for a missing or an open one: {len(found)}.",
            "Leave such cells empty, or write 9999-12-31 for an open end.",
            found,
        )


def _apart(days: pd.Series) -> list[tuple[pd.Timestamp, int]]:
    """Return the first and the last of counted days where they are many and years from the rest."""
    many = FAR_DATE_SHARE * days.sum()
    ends = [(0, 1), (-1, -2)] if len(days) > 2 else []
    return [
        (days.index[end], int(days.iloc[end]))
        for end, inner in ends
        if days.iloc[end] > many
        and abs(days.index[end] - days.index[inner]) > pd.Timedelta(days=FAR_DATE_DAYS)
    ]
