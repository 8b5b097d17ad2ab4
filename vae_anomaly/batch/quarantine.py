"""What could not be scored, one line of JSON each: id, code, message, source."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vae_anomaly.batch.commit import replace_file
from vae_anomaly.errors import DataError

__all__ = [
    "BadItem",
    "Counts",
    "count_codes",
    "quarantine_path",
    "read_quarantine",
    "write_quarantine",
]


@dataclass(frozen=True)
class BadItem:
    """One picture or row that was not scored.

    Parameters
    ----------
    id : str
    code : str
        Short and machine-readable: ``truncated``, ``infinite``, ``duplicate_id``, ...
    message : str
        What was wrong, with the value. It may hold data of the row: guard it like the input.
    source : str
        File, and row counted from 1 for a table.
    """

    id: str
    code: str
    message: str
    source: str


@dataclass
class Counts:
    """What became of a partition's items, counted while it is scored."""

    rows_in: int = 0
    rows_out: int = 0
    rows_flagged: int = 0
    bad: list[BadItem] = field(default_factory=list)
    history: dict[str, Any] = field(default_factory=dict)


def quarantine_path(key: str) -> str:
    """Return where the quarantine of a partition lies below the output folder."""
    return f"quarantine/{key}.jsonl"


def write_quarantine(root: Path, key: str, items: Iterable[BadItem]) -> str | None:
    """Write the items of one partition; without items remove an older file.

    Returns
    -------
    path : str or None
        Below ``root``; None if there was nothing to write.
    """
    name = quarantine_path(key)
    lines = [json.dumps(asdict(item), ensure_ascii=False, sort_keys=True) for item in items]
    if not lines:
        (root / name).unlink(missing_ok=True)
        return None
    with replace_file(root / name) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name


def read_quarantine(path: Path) -> list[BadItem]:
    """Read one quarantine file.

    Raises
    ------
    DataError
        If a line is not what `write_quarantine` wrote.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [BadItem(**json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError) as err:
        raise DataError(f"{path} is no quarantine file: {err}. Score the input again.") from err


def count_codes(items: Iterable[BadItem]) -> dict[str, int]:
    """Return how many items have each code, most frequent first."""
    return dict(Counter(item.code for item in items).most_common())
