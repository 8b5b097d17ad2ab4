"""The mark of generated rows, and how they are kept out of training, tests and thresholds.

Rows that a model generated carry what it learned from real ones. Among held-out normals they would
make tomorrow's rows look anomalous, among tests they would be judged by their own maker. So a table
with the column `SYNTHETIC` loses the rows where it is true before anything is learned or measured.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools
from vae_anomaly.data.tables.cells import read_booleans
from vae_anomaly.errors import ConfigError
from vae_anomaly.words import number_of, verb_for

SYNTHETIC: Final = "synthetic"


def is_marked(frame: pd.DataFrame, features: Collection[str] = ()) -> bool:
    """Tell whether a table has the mark: the column holds nothing but truth values.

    ``features`` are columns that a model reads, or whose kind was declared: a column of that name
    among them is data, not the mark.
    """
    if SYNTHETIC in features or SYNTHETIC not in frame.columns:
        return False
    values, codes = read_booleans(frame[SYNTHETIC])
    return bool(pd.isna(codes).all() and (len(values) == 0 or not np.isnan(values).all()))


def synthetic_rows(frame: pd.DataFrame, features: Collection[str] = ()) -> Bools:
    """Say which rows are marked as generated, shape (N,); an empty cell is no mark.

    Examples
    --------
    >>> rows = pd.DataFrame({"amount": [3.0, 4.0], "synthetic": [False, True]})
    >>> synthetic_rows(rows).tolist()
    [False, True]
    """
    if not is_marked(frame, features):
        return np.zeros(len(frame), dtype=np.bool_)
    return np.asarray(read_booleans(frame[SYNTHETIC])[0] == 1.0, dtype=np.bool_)


def mark_generated(rows: pd.DataFrame) -> pd.DataFrame:
    """Return generated rows with the mark; ConfigError if a column has its name."""
    refuse_taken_name(rows.columns)
    return rows.assign(**{SYNTHETIC: True})


def refuse_taken_name(features: Collection[str]) -> None:
    """Refuse to mark rows of a table whose data have the mark's name."""
    if SYNTHETIC in features:
        raise ConfigError(
            f"The model reads a column {SYNTHETIC!r}, so generated rows cannot be marked by it. "
            "Rename that column and train again."
        )


def synthetic_words(n: int, total: int) -> str:
    """Say that n generated rows are left out of a training, and what to do if they are not."""
    return (
        f"{n:,} of {number_of(total, 'row')} {verb_for(n)} marked as generated (column "
        f"{SYNTHETIC!r}) and left out: they neither train nor calibrate. If the column is data of "
        f"yours, declare its kind (--kind {SYNTHETIC}=boolean)"
    )
