"""What a run writes below its output folder, by name: nothing else is read or removed there.

Ledger and manifest say what lies in a folder, and others may be able to write to it. A name of
theirs is followed only where it is one of these, of its own partition, and no link leads out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from vae_anomaly.errors import DataError, StorageError
from vae_anomaly.files import leads_out

LEDGER: Final = "ledger.sqlite"
HOLDER: Final = ".run"
FOLDERS: Final = ("quarantine", "review", "tally", "learn", "state", "heatmaps", "masks")
_KEY: Final = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.=+%~-]+")
_MODEL: Final = re.compile(r"review/model-[0-9a-f]{12}\.json")
_START: Final = re.compile(r"state/start-[0-9a-f]{16}\.npz")
_DRAWN: Final = re.compile(r"(?:heatmaps|masks)/([^/\\\0]+)/[^/\\\0]+\.png")


def part_path(key: str) -> str:
    """Return where the output of a partition lies below the output folder."""
    return f"part-{key}.parquet"


def quarantine_path(key: str) -> str:
    """Return where the quarantine of a partition lies below the output folder."""
    return f"quarantine/{key}.jsonl"


def review_path(key: str) -> str:
    """Return where the items of a partition lie below the output folder."""
    return f"review/{key}.jsonl"


def tally_path(key: str) -> str:
    """Return where the counts of a partition lie below the output folder."""
    return f"tally/{key}.json"


def learn_path(key: str) -> str:
    """Return where what is kept to learn from a partition lies below the output folder."""
    return f"learn/{key}.parquet"


def state_path(key: str) -> str:
    """Return where the histories after a partition lie below the output folder."""
    return f"state/{key}.npz"


def is_model_path(name: str) -> bool:
    """Tell whether facts of a model lie there."""
    return _MODEL.fullmatch(name) is not None


def refuse_unwritten(key: str, output: str, files: Iterable[str]) -> None:
    """Refuse names that no run gives to the files of a partition: a DataError.

    Examples
    --------
    >>> refuse_unwritten("a", "part-a.parquet", ["part-a.parquet", "heatmaps/a/001.png"])
    >>> refuse_unwritten("a", "part-a.parquet", ["part-a.parquet", "heatmaps/a/../../x.png"])
    Traceback (most recent call last):
    vae_anomaly.errors.DataError: it lists 'heatmaps/a/../../x.png' for the partition 'a', ...
    """
    if not _KEY.fullmatch(key):
        raise DataError(f"it lists a partition {key!r}, a name that no run gives")
    beside = (quarantine_path, review_path, tally_path, learn_path, state_path)
    names = [part_path(key), *(path_of(key) for path_of in beside)]
    given = [*files]
    strange = [name for name in given if name not in names and not _is_of(name, key)]
    if output != names[0] or output not in given:
        strange.insert(0, output)
    if strange:
        raise DataError(
            f"it lists {strange[0]!r} for the partition {key!r}, which is none of its files"
        )


def _is_of(name: str, key: str) -> bool:
    drawn = _DRAWN.fullmatch(name)
    return drawn[1] == key if drawn else _START.fullmatch(name) is not None


def refuse_links(root: Path, keys: Iterable[str] = (), outputs: Iterable[str] = ()) -> None:
    """Refuse links that would have files elsewhere read, written or removed: a StorageError.

    Looked at are the folders of an output folder, what is drawn of partitions by their ``keys``,
    and ``outputs``.
    """
    drawn = [f"{folder}/{key}" for key in keys for folder in ("heatmaps", "masks")]
    for name in (LEDGER, HOLDER, *FOLDERS, *drawn, *outputs):
        if leads_out(root, name):
            raise StorageError(
                f"{root / name} is a link that leads out of the output folder. Remove the link; "
                "what is missing then is scored again."
            )
