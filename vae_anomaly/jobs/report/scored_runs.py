"""The scores of a finished run in few bytes an item: enough to match it with another run.

An id becomes a hash of 128 bits, so a run takes 25 bytes an item in memory, whatever its ids and
reasons are. What is shown of a few items is read again, from their files alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vae_anomaly.arrays import AnyArray, Bools, Floats, Ints
from vae_anomaly.batch.output.manifest import read_manifest, verify_files
from vae_anomaly.batch.output.results import refuse_failed
from vae_anomaly.batch.review import read_review
from vae_anomaly.errors import DataError
from vae_anomaly.reports.facts.items import ReviewItem
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.words import reason_of

BATCH_ROWS = 65_536
_HASH_KEYS = ("vae-anomaly-id-1", "vae-anomaly-id-2")  # 16 bytes each
_REASONS = ("reason_1", "reason_2", "reason_3")
_PARTED = "\x1f"  # between the key of a partition and an id: neither holds it


@dataclass(frozen=True)
class ScoredRun:
    """Every scored item of a run.

    Parameters
    ----------
    root : Path
    partitions : list of dict
        As the manifest has them.
    first, second : ndarray of shape (N,), uint64
        Hashes of the ids, or of partition and id where `keyed`.
    scores : ndarray of shape (N,)
        -log10 p, higher = more anomalous.
    flags : ndarray of shape (N,), bool
    keyed : bool
        Ids repeat from partition to partition, so both together name an item.
    """

    root: Path
    partitions: list[dict[str, Any]]
    first: AnyArray
    second: AnyArray
    scores: Floats
    flags: Bools
    keyed: bool = False

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def kind(self) -> Literal["tabular", "image"]:
        """What its items are."""
        return _kind_of(self.partitions[0])

    @property
    def models(self) -> tuple[str, ...]:
        """Versions that scored it."""
        return tuple(sorted({str(entry["model_version"]) for entry in self.partitions}))

    @property
    def thresholds(self) -> tuple[float, ...]:
        """All that were in force, rising."""
        return tuple(sorted({float(entry["threshold"]) for entry in self.partitions}))

    def repeats_ids(self) -> bool:
        """Say whether a name stands for more than one item."""
        rising = np.sort(self.first)
        return bool((rising[1:] == rising[:-1]).any())


@dataclass(frozen=True)
class ReadItem:
    """What a run's own file says of one item."""

    id: str
    part: str
    reasons: tuple[str, ...]


def read_scored_run(
    out: str | Path, *, keyed: bool = False, allow_failed: bool = False
) -> ScoredRun:
    """Read the scores of a finished run, a piece at a time.

    Raises
    ------
    DataError
        If there is no finished run, it could not score a part of its input, unless
        ``allow_failed``, a file cannot be read or is not the one that the manifest lists, or
        nothing was scored.
    """
    root = Path(on_disk(out))
    manifest = read_manifest(root, verify=False)
    if not allow_failed:
        refuse_failed(root, manifest)
    partitions: list[dict[str, Any]] = manifest["partitions"]
    pieces: list[tuple[AnyArray, AnyArray, Floats, Bools]] = []
    for entry in partitions:
        output = str(entry["output"])
        verify_files(root, {output: entry["files"][output]})
        prefix = f"{entry['key']}{_PARTED}" if keyed else ""
        for batch in _batches(root, entry, ["id", "score", "is_anomaly"]):
            ids, scores, flags = batch.columns
            pieces.append(
                (*_hashed(prefix, ids), scores.to_numpy(), flags.to_numpy(zero_copy_only=False))
            )
    if not sum(len(scores) for *_, scores, _ in pieces):
        raise DataError(f"{root} holds no scored item. Score some, or give another folder.")
    first, second, every_score, every_flag = map(np.concatenate, zip(*pieces, strict=True))
    return ScoredRun(root, partitions, first, second, every_score, every_flag, keyed)


def matched(a: ScoredRun, b: ScoredRun) -> tuple[Ints, Ints]:
    """Return where the items that both runs have lie in each, in the same order."""
    _, of_a, of_b = np.intersect1d(a.first, b.first, return_indices=True)
    same = a.second[of_a] == b.second[of_b]
    return of_a[same].astype(np.int64), of_b[same].astype(np.int64)


def read_items(run: ScoredRun, places: Sequence[int] | Ints) -> dict[int, ReadItem]:
    """Read id and reasons of some items, by where they lie in the run."""
    wanted = np.unique(np.asarray(places, dtype=np.int64))
    found: dict[int, ReadItem] = {}
    start = 0
    for entry in run.partitions:
        n_rows = int(entry["rows_out"])
        here = wanted[(wanted >= start) & (wanted < start + n_rows)]
        if len(here):
            found.update(_read_rows(run.root, entry, start, here))
        start += n_rows
    return found


def read_kept(run: ScoredRun, items: Iterable[ReadItem]) -> dict[ReadItem, ReviewItem]:
    """Read what a run kept for its reviewers of some images: not of all, and none of rows."""
    wanted = {(item.part, item.id): item for item in items}
    parts = {part for part, _ in wanted}
    return {
        wanted[key]: kept
        for entry in run.partitions
        if _kind_of(entry) == "image" and entry["key"] in parts
        for kept in read_review(run.root, entry)
        if (key := (str(entry["key"]), kept.id)) in wanted
    }


def _read_rows(
    root: Path, entry: dict[str, Any], start: int, wanted: Ints
) -> Iterator[tuple[int, ReadItem]]:
    names = ["id", *(name for name in _REASONS if _kind_of(entry) == "tabular")]
    for batch in _batches(root, entry, names):
        inside = wanted[(wanted >= start) & (wanted < start + len(batch))]
        for place, row in zip(
            inside, batch.take(pa.array(inside - start)).to_pylist(), strict=True
        ):
            reasons = tuple(text for name in names[1:] if (text := row[name]))
            yield int(place), ReadItem(str(row["id"]), str(entry["key"]), reasons)
        start += len(batch)


def _batches(root: Path, entry: dict[str, Any], names: list[str]) -> Iterator[pa.RecordBatch]:
    path = root / str(entry["output"])
    try:
        with path.open("rb") as file:  # Arrow opens no name that is not UTF-8
            yield from pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=names)
    except (OSError, pa.ArrowException) as err:
        raise DataError(
            f"{path} cannot be read: {reason_of(err)}. Run again; it is then scored again."
        ) from None


def _kind_of(entry: dict[str, Any]) -> Literal["tabular", "image"]:
    return "image" if entry["kind"] == "images" else "tabular"


def _hashed(prefix: str, ids: pa.Array) -> tuple[AnyArray, AnyArray]:
    texts = np.array([f"{prefix}{text}" for text in ids.to_pylist()], dtype=object)
    first, second = (
        pd.util.hash_array(texts, hash_key=key, categorize=False) for key in _HASH_KEYS
    )
    return first, second
