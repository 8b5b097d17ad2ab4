"""What reviewers' verdicts say of the items on a page, as the run that scored them has written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from vae_anomaly.jobs.report.night.scores import opened_part
from vae_anomaly.reports.facts.items import ReviewItem

_COLUMNS: Final = ("why", "probability")
_LEARNED: Final = "p_combined"  # which runs with --learn alone write
_ROWS: Final = 65_536


def with_learned(
    items: Sequence[ReviewItem], root: Path, entries: Sequence[Mapping[str, Any]]
) -> tuple[ReviewItem, ...]:
    """Return items with how likely they are anomalies by what verdicts have taught.

    Where verdicts on others speak for an anomaly, that is one more reason.

    Raises
    ------
    DataError
        If an output file cannot be read.
    """
    ids = {item.id for item in items}
    learned: dict[str, dict[str, Any]] = {}
    for entry in entries:
        learned |= _of_part(root / entry["output"], ids)
    return tuple(_taught(item, learned.get(item.id)) for item in items)


def _taught(item: ReviewItem, told: Mapping[str, Any] | None) -> ReviewItem:
    if told is None:
        return item
    reasons = (*item.reasons, told["why"]) if told["why"] else item.reasons
    return replace(item, reasons=reasons, learned=told["probability"])


def _of_part(path: Path, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    from pyarrow import array
    from pyarrow.compute import is_in

    found: dict[str, dict[str, Any]] = {}
    wanted = array(sorted(ids))
    with opened_part(path) as part:
        if _LEARNED not in part.schema_arrow.names:
            return {}
        for batch in part.iter_batches(_ROWS, columns=["id", *_COLUMNS]):
            own = batch.filter(is_in(batch["id"], value_set=wanted))
            found |= {row["id"]: row for row in own.to_pylist()}
    return found
