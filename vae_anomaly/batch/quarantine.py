"""What could not be scored, one line of JSON each: id, code, message, source."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from vae_anomaly.errors import DataError
from vae_anomaly.files import replace_file


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
    """What became of a partition's items, counted while it is scored.

    Parameters
    ----------
    keep : callable
        Takes each item that was not scored.
    """

    keep: Callable[[BadItem], None]
    rows_in: int = 0
    rows_out: int = 0
    rows_flagged: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    history: dict[str, Any] = field(default_factory=dict)

    def set_aside(self, item: BadItem) -> None:
        """Count an item that was not scored, and hand it on."""
        self.codes[item.code] += 1
        self.keep(item)


def quarantine_path(key: str) -> str:
    """Return where the quarantine of a partition lies below the output folder."""
    return f"quarantine/{key}.jsonl"


@contextmanager
def open_quarantine(root: Path, key: str) -> Iterator[Callable[[BadItem], None]]:
    """Take the items of one partition one by one, so that many of them need no memory.

    When the block ends well the file is in its place; without items an older one is removed.

    Yields
    ------
    keep : callable
        Writes one item.
    """
    target = root / quarantine_path(key)
    file: TextIO | None = None
    with ExitStack() as stack:

        def keep(item: BadItem) -> None:
            nonlocal file
            if file is None:
                temporary = stack.enter_context(replace_file(target))
                file = stack.enter_context(temporary.open("w", encoding="utf-8"))
            file.write(json.dumps(asdict(item), ensure_ascii=False, sort_keys=True) + "\n")

        yield keep
    if file is None:
        target.unlink(missing_ok=True)


def write_quarantine(root: Path, key: str, items: Iterable[BadItem]) -> str | None:
    """Write the items of one partition; without items remove an older file.

    Returns
    -------
    path : str or None
        Below ``root``; None if there was nothing to write.
    """
    with open_quarantine(root, key) as keep:
        for item in items:
            keep(item)
    name = quarantine_path(key)
    return name if (root / name).is_file() else None


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
