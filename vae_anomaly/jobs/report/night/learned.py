"""What reviewers' verdicts say of the items on a page, as the run that scored them has written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from vae_anomaly.errors import DataError
from vae_anomaly.reports.facts.items import ReviewItem
from vae_anomaly.words import reason_of

_WHY: Final = "why"
_ROWS: Final = 65_536


def with_learned_reasons(
    items: Sequence[ReviewItem], root: Path, entries: Sequence[Mapping[str, Any]]
) -> tuple[ReviewItem, ...]:
    """Return items with one more reason each, where verdicts on others speak for an anomaly.

    Raises
    ------
    DataError
        If an output file cannot be read.
    """
    ids = {item.id for item in items}
    learned: dict[str, str] = {}
    for entry in entries:
        learned |= _of_part(root / entry["output"], ids)
    return tuple(
        replace(item, reasons=(*item.reasons, learned[item.id])) if item.id in learned else item
        for item in items
    )


def _of_part(path: Path, ids: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        with path.open("rb") as file:  # Arrow opens no name that is not UTF-8
            part = pq.ParquetFile(file)
            if _WHY not in part.schema_arrow.names:
                return {}
            for batch in part.iter_batches(_ROWS, columns=["id", _WHY]):
                told = batch.filter(batch[_WHY].is_valid()).to_pylist()
                found |= {row["id"]: row[_WHY] for row in told if row["id"] in ids}
    except (OSError, pa.ArrowException, KeyError) as err:
        raise DataError(
            f"{path} cannot be read: {reason_of(err)}. Score the input again."
        ) from None
    return found
