"""Find columns that only tell the time again: elapsed seconds, counters."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats, Times
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds.column import Column, ColumnKind
from vae_anomaly.data.tables.kinds.infer import MIN_ROWS_TO_JUDGE


def elapsed_columns(
    columns: Mapping[str, Column],
    series: Mapping[str, pd.Series],
    said: Collection[str],
) -> dict[str, Column]:
    """Return, as ignored, the numeric columns that only tell the time again."""
    clocks = {
        name: cells.read_times(series[name], column.time_format)[0]
        for name, column in columns.items()
        if column.kind is ColumnKind.TIMESTAMP
    }
    out = {}
    for name, column in columns.items():
        if column.kind is not ColumnKind.NUMERIC or name in said:
            continue
        values = cells.read_numbers(series[name])[0]
        clock = next((c for c, times in clocks.items() if _follows(values, times)), None)
        if clock is not None:
            note = f"only rises or falls with {clock!r}: tomorrow's value is always out of range"
            out[name] = column.model_copy(update={"kind": ColumnKind.IGNORED, "note": note})
    return out


def _follows(values: Floats, times: Times) -> bool:
    """Tell whether values are a monotone function of time, but for one step in a thousand."""
    present = ~np.isnan(values) & ~np.isnat(times)
    values, times = values[present], times[present]
    if values.size < MIN_ROWS_TO_JUDGE or np.unique(values).size < 3:
        return False
    steps = np.diff(values[np.lexsort((values, times))])
    rising, falling = int(np.sum(steps > 0)), int(np.sum(steps < 0))
    if rising > falling:
        return falling <= 1e-3 * rising
    steps = np.diff(values[np.lexsort((-values, times))])
    return int(np.sum(steps > 0)) <= 1e-3 * int(np.sum(steps < 0))
