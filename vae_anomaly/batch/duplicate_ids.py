"""Find the rows whose id an earlier row had, on disk: half a byte of memory a row.

Each id becomes a hash of 128 bits (two different ids share one once in 10^24 tables of ten million
rows), dealt by its first bits to one of 128 unnamed temporary files beside the output. Equal ids
meet in one file, small enough to be sorted in memory. It takes 24 bytes of disk a row. What comes
out is one byte a row, on disk as well.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from vae_anomaly.arrays import AnyArray, Bools, Ints
from vae_anomaly.errors import StorageError

N_FILES = 128  # macOS lets a process open 256
HASH_KEYS = ("vae-anomaly-id-1", "vae-anomaly-id-2")  # 16 bytes each
RECORD = np.dtype([("first", "<u8"), ("second", "<u8"), ("row", "<u8")])


@contextmanager
def find_repeats(pieces: Iterable[Sequence[str | None]], folder: Path) -> Iterator[Bools]:
    """Yield of each row of a table whether an earlier row has its id, (N,), mapped from disk.

    ``pieces`` are the ids in order; None is no id and repeats nothing. The temporary files in
    ``folder`` are gone when the block ends, or the process.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            files = [_temporary(stack, folder) for _ in range(N_FILES)]
            n_rows = _deal(pieces, files)
            repeated = _flags(_temporary(stack, folder), n_rows)
            for file in files:
                repeated[_repeated_rows(file)] = True
        except OSError as err:
            raise StorageError(
                f"The ids of a table could not be compared in {folder}: {err.strerror or err}. "
                "Free some space or choose another --out, then run again."
            ) from err
        yield repeated


def _temporary(stack: ExitStack, folder: Path) -> BinaryIO:
    return stack.enter_context(tempfile.TemporaryFile(dir=folder, buffering=0))


def _deal(pieces: Iterable[Sequence[str | None]], files: Sequence[BinaryIO]) -> int:
    """Append each id's record to the file of its hash; return how many rows there are."""
    start = 0
    for ids in pieces:
        records = _records(ids, start)
        records = records[np.argsort(records["first"] >> np.uint64(57), kind="stable")]
        places = (records["first"] >> np.uint64(57)).astype(np.int64)
        bounds = np.searchsorted(places, np.arange(N_FILES + 1))
        for place in np.unique(places):
            files[place].write(records[bounds[place] : bounds[place + 1]].tobytes())
        start += len(ids)
    return start


def _records(ids: Sequence[str | None], start: int) -> AnyArray:
    rows = np.array([row for row, text in enumerate(ids) if text is not None], dtype=np.int64)
    texts = np.array([text for text in ids if text is not None], dtype=object)
    records = np.empty(len(rows), dtype=RECORD)
    for field, key in zip(("first", "second"), HASH_KEYS, strict=True):
        records[field] = pd.util.hash_array(texts, hash_key=key, categorize=False)
    records["row"] = rows + start
    return records


def _flags(file: BinaryIO, n_rows: int) -> Bools:
    if n_rows == 0:
        return np.zeros(0, dtype=np.bool_)
    os.ftruncate(file.fileno(), n_rows)
    return np.memmap(file, dtype=np.bool_, mode="r+", shape=(n_rows,))


def _repeated_rows(file: BinaryIO) -> Ints:
    """Return the rows of one file that have the id of an earlier one."""
    file.seek(0)
    records = np.frombuffer(file.read(), dtype=RECORD)
    records = records[np.lexsort((records["row"], records["second"], records["first"]))]
    same = (records["first"][1:] == records["first"][:-1]) & (
        records["second"][1:] == records["second"][:-1]
    )
    return np.asarray(records["row"][1:][same], dtype=np.int64)
