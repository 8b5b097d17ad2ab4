"""What identifies the content of a table: a digest of its cells, or of the bytes of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from vae_anomaly.data.tables import cells

_BLOCK_BYTES: Final = 1 << 22


def fingerprint(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what identifies the content of a table.

    Parameters
    ----------
    frame : DataFrame of shape (N, D)

    Returns
    -------
    dict
        "rows" (int), "columns" (list of str) and "sha256" (64 hexadecimal digits) over names and
        values in order. Index and row groups do not count; neither does the width of a number's
        type.
    """
    digest = hashlib.sha256()
    names = [str(name) for name in frame.columns]
    for place, name in enumerate(names):
        digest.update(name.encode() + b"\0")
        digest.update(_hash_cells(frame.iloc[:, place]))
    return {"rows": len(frame), "columns": names, "sha256": digest.hexdigest()}


def file_fingerprint(files: Sequence[Path], rows: int, columns: Sequence[str]) -> dict[str, Any]:
    """Return what identifies tables too long to be held: the bytes of their files, in order.

    Parameters
    ----------
    files : sequence of path
    rows : int
        How many of their rows were used.
    columns : sequence of str

    Returns
    -------
    dict
        As `fingerprint`, and "over": "files". Of one file "sha256" is what ``sha256sum`` says.
    """
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return {
        "rows": rows, "columns": [*columns], "sha256": digest.hexdigest(), "over": "files",
    }  # fmt: skip


def _hash_cells(series: pd.Series) -> bytes:
    """Hash each cell: numbers as float64, times in ns, all else as text."""
    if cells.storage_of(series) in {"number", "boolean", "empty"}:
        values = cells.read_numbers(series)[0]
        if pd.api.types.is_float_dtype(series.dtype):  # keep infinite apart from missing
            values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isnan(values), np.nan, values + 0.0).tobytes()  # one NaN, one zero
    if cells.storage_of(series) == "time":
        return cells.read_times(series)[0].tobytes()
    hashed: np.ndarray[Any, Any] = pd.util.hash_array(cells.read_text(series), categorize=True)
    return hashed.tobytes()
