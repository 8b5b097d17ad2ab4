"""Count, over all files of a run, the rows whose id an earlier file has as well.

Within a file such a row is quarantined. Of two files neither is wrong by itself: both are scored,
and it is told, as whoever adds up the night would count these rows twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from vae_anomaly.batch.duplicate_ids import find_repeats
from vae_anomaly.batch.output.ledger import Ledger, LedgerRow
from vae_anomaly.batch.output.manifest import MANIFEST, read_manifest
from vae_anomaly.batch.plan import Partition
from vae_anomaly.errors import DataError
from vae_anomaly.words import names_of, number_of, verb_for

logger = logging.getLogger(__name__)
_ROWS = 65_536


def ids_repeated_across(
    plan: Sequence[Partition], rows: Mapping[str, LedgerRow], root: Path
) -> dict[str, int]:
    """Return by partition how many of its scored rows have the id of a row of an earlier one.

    Of a plan of tables, in its order; none where rows are named by file and number. It takes 24
    bytes of disk a row while it looks.
    """
    done = [part for part in plan if part.kind == "table" and part.key in rows]
    if len(done) < 2 or all(_are_numbered(part, rows, root) for part in done):
        return {}
    ends = np.cumsum([rows[part.key].rows_out for part in done])
    ids = (batch for part in done for batch in _ids_of(root / rows[part.key].output))
    with find_repeats(ids, root) as repeated:
        counts = [int(part.sum()) for part in np.split(repeated, ends[:-1])]
    return {part.key: n for part, n in zip(done, counts, strict=True) if n}


def repeats_of_run(
    plan: Sequence[Partition],
    todo: Sequence[Partition],
    rows: Mapping[str, LedgerRow],
    ledger: Ledger,
    root: Path,
) -> dict[str, int]:
    """Return and tell what `ids_repeated_across` finds; of a run that does nothing, as it was."""
    same_as_last = ledger.nights()[-1:] == [sorted(partition.key for partition in plan)]
    if same_as_last and not todo and (root / MANIFEST).is_file():
        with suppress(DataError):
            return dict(read_manifest(root, verify=False).get("repeated_ids", {}))
    repeats = ids_repeated_across(plan, rows, root)
    for note in told_repeats(repeats):
        logger.warning("%s", note, extra={"event": "repeated-ids"})
    return repeats


def told_repeats(repeats: Mapping[str, int]) -> list[str]:
    """Return the note on ids that files share; none without such."""
    n_rows = sum(repeats.values())
    if not n_rows:
        return []
    return [
        f"{number_of(n_rows, 'row')} in {names_of(repeats, 3)} {verb_for(n_rows)} called as a row "
        "of an earlier file of this run: each is scored, and counts twice for who adds them up. "
        "Is a file handed in twice, or does another --id-column name one row each?"
    ]


def _are_numbered(partition: Partition, rows: Mapping[str, LedgerRow], root: Path) -> bool:
    first = next(_ids_of(root / rows[partition.key].output), [])
    return not first or first[0].startswith(f"{partition.files[0].id}#")


def _ids_of(part: Path) -> Iterator[list[str]]:
    with part.open("rb") as file:  # Arrow opens no name that is not UTF-8
        for batch in pq.ParquetFile(file).iter_batches(_ROWS, columns=["id"]):
            yield batch.column(0).to_pylist()
