"""Find the strangest items of a finished scoring run, and where each of them came from."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from vae_anomaly.batch import Partition, read_manifest
from vae_anomaly.data.tables.read import iter_batches


@dataclass(frozen=True)
class Flag:
    """One flagged item.

    Parameters
    ----------
    score : float
        -log10 p, higher = more anomalous.
    reasons : tuple of str
        Of a row, the most important first; empty for a picture.
    heatmap : str, optional
        Of a picture, below the output folder.
    source : str
        The picture, or the table file of the row.
    """

    id: str
    score: float
    p_value: float
    reasons: tuple[str, ...]
    heatmap: str | None
    source: str


def strangest_flags(out: str | Path, plan: Sequence[Partition], top: int = 5) -> list[Flag]:
    """Return the flagged items with the highest scores, the strangest first.

    Parameters
    ----------
    out : str or Path
        Output folder of a finished run.
    plan : sequence of Partition
        What to look at; the folder may hold other days as well.
    top : int
        How many at most.

    Raises
    ------
    DataError
        If the run is not finished.
    """
    asked = {partition.key: partition for partition in plan}
    found: list[Flag] = []
    for entry in read_manifest(out, verify=False)["partitions"]:
        if entry["key"] in asked and entry["rows_flagged"]:
            rows = _strangest_rows(Path(out) / entry["output"], top)
            found += [_flag(row, asked[entry["key"]]) for row in rows.to_dict("records")]
    return sorted(found, key=lambda flag: (-flag.score, flag.id))[:top]


def _strangest_rows(path: Path, top: int) -> pd.DataFrame:
    """Return the flagged rows of one file with the highest scores; never holds all of them."""
    best: list[pd.DataFrame] = []
    for piece in iter_batches(path):
        flagged = piece[piece["is_anomaly"]]
        best = [pd.concat([*best, flagged.nlargest(top, "score")]).nlargest(top, "score")]
    return best[0]


def _flag(row: Mapping[Hashable, Any], partition: Partition) -> Flag:
    reasons = [row.get(f"reason_{number}") for number in (1, 2, 3)]
    sources = {file.id: file.path for file in partition.files}
    return Flag(
        id=str(row["id"]),
        score=float(row["score"]),
        p_value=float(row["p_value"]),
        reasons=tuple(str(reason) for reason in reasons if isinstance(reason, str) and reason),
        heatmap=row.get("heatmap") if isinstance(row.get("heatmap"), str) else None,
        source=sources.get(str(row["id"]), partition.files[0].path),
    )
