"""What a run writes for its readers beside the manifest, and what is read back of it.

What could not be scored lies in ``quarantine/<key>.jsonl``, one line of JSON each: id, code,
message, source.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import pyarrow as pa

from vae_anomaly.batch.output.manifest import read_manifest
from vae_anomaly.batch.output.written import quarantine_path
from vae_anomaly.batch.plan import Partition
from vae_anomaly.data.tables.read import iter_batches
from vae_anomaly.errors import DataError
from vae_anomaly.files import remove_file, replace_file
from vae_anomaly.state import from_json
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.words import names_of, number_of, reason_of


def output_schema(*own_columns: pa.Field) -> pa.Schema:
    """Return the columns of an output file; a kind of input has its own beside the common ones."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("score", pa.float64(), nullable=False),
            pa.field("p_value", pa.float64(), nullable=False),
            pa.field("is_anomaly", pa.bool_(), nullable=False),
            *own_columns,
            pa.field("model_version", pa.string(), nullable=False),
            pa.field("threshold", pa.float64(), nullable=False),
        ]
    )


def read_results(
    out: str | Path, *, columns: list[str] | None = None, allow_failed: bool = False
) -> pd.DataFrame:
    """Return all scored items of a finished run as one table.

    Parameters
    ----------
    out : str or Path
        The output folder.
    columns : list of str, optional
        Only these columns, beside ``partition``.
    allow_failed : bool
        Read also what a run wrote that could not score a part of its input.

    Returns
    -------
    results : DataFrame
        The columns of the output files, and ``partition``.

    Raises
    ------
    DataError
        As `read_manifest`, and if the last run could not score a part of its input.
    """
    root = Path(on_disk(out))
    frames = []
    manifest = read_manifest(root)
    if not allow_failed:
        refuse_failed(root, manifest)
    for entry in manifest["partitions"]:
        part = _read_part(root / entry["output"], columns)
        frames.append(part.assign(partition=entry["key"]))
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _read_part(path: Path, columns: list[str] | None) -> pd.DataFrame:
    """Read an output file; DataError where it is none, although the manifest lists its digest."""
    try:
        with path.open("rb") as file:
            frame = pd.read_parquet(file, columns=columns)
    except (OSError, pa.ArrowException, ValueError, TypeError, KeyError, AttributeError) as err:
        raise _no_part(path, reason_of(err)) from err
    scores = frame.get("score")
    if scores is not None and not (scores.dtype == "float64" and np.isfinite(scores).all()):
        raise _no_part(path, "it holds a score that is no finite number")
    return frame


def _no_part(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path} is no output that a run has written: {reason}. Remove it and run again; it is "
        "then scored again."
    )


def refuse_failed(root: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a folder whose last run could not score a part of its input: a DataError."""
    failed = manifest.get("failed", {})
    if failed:
        raise DataError(
            f"{root} lacks {number_of(len(failed), 'part')} of the input, which could not be "
            f"scored ({names_of(failed)}): {reason_of(next(iter(failed.values())))}. Mend it and "
            "run again; to take the others alone, add --allow-failed (in Python allow_failed=True)."
        )


# ------------------------------------------------------------------ what could not be scored


@dataclass(frozen=True)
class BadItem:
    """One image or row that was not scored.

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

    keep: Callable[[BadItem], None]  # takes each item that was not scored
    rows_in: int = 0
    rows_out: int = 0
    rows_flagged: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    history: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def set_aside(self, item: BadItem) -> None:
        """Count an item that was not scored, and hand it on."""
        self.codes[item.code] += 1
        self.keep(item)

    def quarantine(self, key: str) -> list[str]:
        """Return the file of what was not scored, below the output folder; none without such."""
        return [quarantine_path(key)] if self.codes else []


@contextmanager
def open_quarantine(root: Path, key: str) -> Iterator[Callable[[BadItem], None]]:
    """Yield what writes one item of a partition, so that many of them need no memory.

    When the block ends well the file is in its place; without items an older one is removed.
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
        remove_file(target)


def read_quarantine(path: Path) -> list[BadItem]:
    """Read one quarantine file.

    Raises
    ------
    DataError
        If a line is no item of a quarantine.
    """
    return list(iter_quarantine(path))


def iter_quarantine(path: Path) -> Iterator[BadItem]:
    """Yield the items of a file one by one, as `read_quarantine`: a spoilt night has millions."""
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield from_json(BadItem, json.loads(line))
    except (OSError, ValueError, AttributeError, RecursionError) as err:
        raise DataError(
            f"{path} is no quarantine file: {reason_of(err)}. Score the input again."
        ) from err


# ------------------------------------------------------------------ what was flagged


@dataclass(frozen=True)
class Flag:
    """One flagged item.

    Parameters
    ----------
    score : float
        -log10 p, higher = more anomalous.
    reasons : tuple of str
        Of a row, the most important first; empty for an image.
    heatmap : str, optional
        Of an image, below the output folder.
    source : str
        The image, or the table file of the row.
    probability : float, optional
        Of an anomaly, where what verdicts have taught has flagged it.
    """

    id: str
    score: float
    p_value: float
    reasons: tuple[str, ...]
    heatmap: str | None
    source: str
    probability: float | None = None


def highest_flags(out: str | Path, plan: Sequence[Partition], top: int = 5) -> list[Flag]:
    """Return the flagged items with the highest scores, the highest first.

    Where what verdicts have taught flags, by what it bounds: those with the highest probabilities.

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
    partitions = {partition.key: partition for partition in plan}
    flags: list[Flag] = []
    for entry in read_manifest(out, verify=False)["partitions"]:
        if entry["key"] in partitions and entry["rows_flagged"]:
            rows = _highest_rows(Path(out) / entry["output"], top)
            flags += [_flag(row, partitions[entry["key"]]) for row in rows.to_dict("records")]
    return sorted(flags, key=lambda flag: (-(flag.probability or 0), -flag.score, flag.id))[:top]


def _highest_rows(path: Path, top: int) -> pd.DataFrame:
    """Return the highest of the flagged rows of one file; never holds all of them."""
    best: list[pd.DataFrame] = []
    for piece in iter_batches(path):
        flagged = piece[piece["is_anomaly"]]
        learned = (flagged.get("flagged_by", pd.Series(dtype=object)) != "score").any()
        by = ["probability", "score"] if learned else ["score"]
        best = [pd.concat([*best, flagged.nlargest(top, by)]).nlargest(top, by)]
    return best[0]


def _flag(row: Mapping[Hashable, Any], partition: Partition) -> Flag:
    reasons = [row.get(f"reason_{number}") for number in (1, 2, 3)]
    sources = {file.id: file.origin for file in partition.files}
    return Flag(
        id=str(row["id"]),
        score=float(row["score"]),
        p_value=float(row["p_value"]),
        reasons=tuple(str(reason) for reason in reasons if isinstance(reason, str) and reason),
        heatmap=row.get("heatmap") if isinstance(row.get("heatmap"), str) else None,
        source=sources.get(str(row["id"]), partition.files[0].origin),
        probability=None if row.get("flagged_by", "score") == "score" else row["probability"],
    )
