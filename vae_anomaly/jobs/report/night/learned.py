"""What reviewers' verdicts say of the items on a page, as the run that scored them has written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from vae_anomaly.jobs.report.night.scores import opened_part
from vae_anomaly.reports.facts.items import ReviewItem

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
    with opened_part(path) as part:
        if _WHY not in part.schema_arrow.names:
            return {}
        for batch in part.iter_batches(_ROWS, columns=["id", _WHY]):
            told = batch.filter(batch[_WHY].is_valid()).to_pylist()
            found |= {row["id"]: row[_WHY] for row in told if row["id"] in ids}
    return found
