"""The scores of a night, read from its output files piece by piece: 8 bytes an item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.errors import DataError
from vae_anomaly.thresholds.basis import bound_text
from vae_anomaly.words import reason_of

_BATCH_ROWS = 65_536
_COLUMNS = ("id", "score", "is_anomaly")
_BY = "flagged_by"


@dataclass(frozen=True)
class NightScores:
    """All scored items of a night.

    Parameters
    ----------
    scores : ndarray of shape (N,), float64
    flagged : ndarray of shape (N,), bool
        At the threshold of the run.
    """

    scores: Floats
    flagged: Bools

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def rising(self) -> Floats:
        """The scores in order; what is no number stands last."""
        return np.sort(self.scores)

    def flagged_above(self, values: Floats) -> list[int]:
        """Return how many items `is_flagged` would flag at each of (V,) thresholds."""
        below = np.searchsorted(self.rising, values, side="right")
        return [len(self) - int(count) for count in below]


def read_scores_of(root: Path, entries: Sequence[Mapping[str, Any]]) -> NightScores:
    """Read the scores of partitions of a manifest.

    Raises
    ------
    DataError
        If an output file cannot be read, or has other rows than the manifest says.
    """
    n = sum(int(entry["rows_out"]) for entry in entries)
    pieces = [(scores, flags) for _, scores, flags in score_batches(root, entries)]
    scores = np.concatenate([np.empty(0), *(one for one, _ in pieces)])
    flagged = np.concatenate([np.empty(0, dtype=np.bool_), *(one for _, one in pieces)])
    if len(scores) != n:
        raise DataError(
            f"The output files of {root} do not hold the {n:,} items that its manifest lists. "
            "Score the input again."
        )
    return NightScores(scores, flagged)


@contextmanager
def opened_part(path: Path) -> Iterator[pq.ParquetFile]:
    """Open an output file; a DataError with the remedy where it cannot be read."""
    try:
        with path.open("rb") as file:  # Arrow opens no name that is not UTF-8
            yield pq.ParquetFile(file)
    except (OSError, pa.ArrowException, KeyError) as err:
        raise DataError(f"{path} cannot be read: {reason_of(err)}. Score the input again.") from err


def learned_bound(root: Path, entries: Sequence[Mapping[str, Any]]) -> str | None:
    """Return what flagged a night by what verdicts have taught; None where the model's score did.

    Raises
    ------
    DataError
        If an output file cannot be read.
    """
    for entry in entries:
        with opened_part(root / entry["output"]) as part:
            if _BY not in part.schema_arrow.names or not part.metadata.num_rows:
                continue
            first = next(part.iter_batches(1, columns=[_BY, "threshold"])).to_pylist()[0]
        if first[_BY] != "score":
            return bound_text(first[_BY], first["threshold"])
    return None


def score_batches(
    root: Path, entries: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[pa.Array, Floats, Bools]]:
    """Yield ids, scores and flags of partitions, some rows at a time.

    Raises
    ------
    DataError
        If an output file cannot be read.
    """
    for entry in entries:
        with opened_part(root / entry["output"]) as part:
            for batch in part.iter_batches(_BATCH_ROWS, columns=[*_COLUMNS]):
                ids, scores, flags = (batch.column(name) for name in _COLUMNS)
                yield ids, scores.to_numpy(), flags.to_numpy(zero_copy_only=False)
