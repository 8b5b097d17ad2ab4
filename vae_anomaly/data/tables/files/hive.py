"""Columns that are told by folders, as Hive and Spark write them: ``date=2024-03-01/part-0.csv``.

The folders right above a file count, by its whole path: the same file has the same columns however
it is named, and from whichever folder the command is called.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa

from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.files.typed import typed_table
from vae_anomaly.errors import DataError

_FOLDER: Final = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_MISSING: Final = ("", "__HIVE_DEFAULT_PARTITION__")


def partition_folders(path: Path) -> list[str]:
    """Return the names of the folders right above a file that tell columns, outermost first."""
    names: list[str] = []
    for folder in path.absolute().parents:
        if not _FOLDER.fullmatch(folder.name):
            break
        names.insert(0, folder.name)
    return names


def partition_values(path: Path) -> dict[str, str | None]:
    """Return what the folders above a file tell of its rows: text by column, None where missing."""
    found = [_FOLDER.fullmatch(name) for name in partition_folders(path)]
    pairs = [(unquote(one[1]), unquote(one[2])) for one in found if one]
    return {name: None if value in _MISSING else value for name, value in pairs}


def with_partitions(
    table: pa.Table, path: Path, *, typed: bool, as_text: Collection[str] = ()
) -> pa.Table:
    """Return a table with the columns that its file's folders tell, if it has not got them.

    They are text, or ``typed`` as the columns of a CSV but for those in ``as_text``. Raises
    `DataError` where the file itself holds such a column with another value.
    """
    values = partition_values(path)
    new = {name: value for name, value in values.items() if name not in table.column_names}
    for name in values.keys() - new.keys():
        _refuse_conflict(path, name, values[name], table.column(name))
    told = pa.table({name: pa.array([value], pa.string()) for name, value in new.items()})
    told = typed_table(told, as_text) if typed else told
    for name in new:
        table = table.append_column(name, pa.repeat(told.column(name)[0], len(table)))
    return table


def _refuse_conflict(path: Path, name: str, value: str | None, column: pa.ChunkedArray) -> None:
    """Refuse a column of the file that says something else than the folder."""
    held = pd.Series(column.unique().to_pandas())
    told = pd.Series([value], dtype=object)
    if cells.storage_of(held) == "time":
        same = bool((cells.read_times(held)[0] == cells.read_times(told)[0][0]).all())
    else:
        same = set(cells.read_text(held)) <= {cells.read_text(told)[0]}
    if not same:
        raise DataError(
            f"{path} holds {held.iloc[0]!r} in column {name!r}, and its folder says {value!r}. "
            "Rename the column or the folder."
        )
