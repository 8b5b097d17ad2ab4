"""Scores that a scoring job wrote, or that anyone keeps in a file, as scored items."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_anomaly.data.tables.cells import read_booleans, read_numbers, read_text
from vae_anomaly.data.tables.generated import synthetic_rows
from vae_anomaly.data.tables.labels import column_of, find_labels
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.errors import DataError
from vae_anomaly.thresholds.items import ScoredItems

if TYPE_CHECKING:
    import pandas as pd

SCORE_NAMES = ("score", "anomaly_score")


def read_scores(
    source: str | Path,
    *,
    labels: str | None = None,
    groups: str | None = None,
    amounts: str | None = None,
    id_column: str | None = None,
) -> tuple[ScoredItems, tuple[str, ...]]:
    """Read anomaly scores with what is known of their items.

    Parameters
    ----------
    source : path
        The output folder of ``vae-anomaly score``, or a CSV or parquet file with the column
        ``score`` or ``anomaly_score``.
    labels : str, optional
        ``COLUMN`` of the file, or ``FILE:COLUMN`` joined by ``id``.
    groups, amounts : str, optional
        Columns of the file.
    id_column : str, optional
        What the column of ids is called in the file of labels, if not ``id``.

    Returns
    -------
    items : ScoredItems
        Without rows whose column ``synthetic`` is true.
    versions : tuple of str
        Models that made the scores, as far as the file says.

    Raises
    ------
    DataError
        If there is no column of scores, or a score is missing or no number.
    """
    frame = _read(Path(source))
    name = next((n for n in SCORE_NAMES if n in frame.columns), None)
    if name is None:
        raise DataError(
            f"{source} has no column {' or '.join(SCORE_NAMES)}; it has "
            f"{', '.join(map(str, frame.columns[:20]))}. Give the --out folder of "
            "`vae-anomaly score`, or the table itself with --input."
        )
    frame, made = _real(frame)
    named = "id" in frame.columns
    ids = read_text(frame["id"]) if named else read_text(frame.index.to_series())
    marks, kinds = np.zeros(len(frame)), None
    if labels is not None:
        marks, kinds = find_labels(labels, frame, ids if named else None, id_column)
    items = ScoredItems(
        ids=np.asarray(ids, dtype=object),
        scores=_finite(frame[name], str(source)),
        labels=None if labels is None else marks == 1.0,
        kinds=kinds,
        groups=None if groups is None else read_text(column_of(frame, groups, "--groups")),
        amounts=None if amounts is None else read_numbers(column_of(frame, amounts, "--stake"))[0],
        flagged=_flags(frame),
        left_out=made | _unlabelled(marks),
        source=str(source),
    )
    versions = frame["model_version"].unique() if "model_version" in frame.columns else ()
    return items.take(np.isfinite(marks)), tuple(sorted(str(v) for v in versions))


def _read(source: Path) -> pd.DataFrame:
    from vae_anomaly.batch import read_results

    if (source / "manifest.json").is_file():
        return read_results(source)
    return read_table(source)


def _real(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Leave out generated rows, and count them."""
    made = synthetic_rows(frame)
    if not made.any():
        return frame, {}
    return frame[~made].reset_index(drop=True), {"synthetic": int(made.sum())}


def _flags(frame: pd.DataFrame) -> Any:
    if "is_anomaly" not in frame.columns:
        return None
    values, _ = read_booleans(frame["is_anomaly"])
    return values == 1 if np.isfinite(values).all() else None


def _finite(column: pd.Series[Any], source: str) -> Any:
    values, _ = read_numbers(column)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise DataError(
            f"{bad.size} of {values.size} scores in {source} are missing or no finite numbers; "
            f"the first is {column.iloc[bad[0]]!r} in row {bad[0] + 1}. Score these items again."
        )
    return values


def _unlabelled(marks: Any) -> dict[str, int]:
    count = int(np.sum(~np.isfinite(marks)))
    return {"without a label": count} if count else {}
