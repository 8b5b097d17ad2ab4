"""Score the pictures of one partition, a few at a time."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vae_anomaly.batch.commit import replace_file
from vae_anomaly.batch.overlay import render_overlay
from vae_anomaly.batch.plan import Partition, SourceFile
from vae_anomaly.batch.quarantine import BadItem, Counts, write_quarantine
from vae_anomaly.batch.settings import Output, ScoringModel
from vae_anomaly.data.depth import stretch
from vae_anomaly.data.images import decode_image
from vae_anomaly.errors import CalibrationError, DataError, ImageError
from vae_anomaly.progress import Progress

__all__ = ["IMAGE_SCHEMA", "score_images"]

AT_ONCE = 32  # decoded pictures in memory
IMAGE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("p_value", pa.float64(), nullable=False),
        pa.field("is_anomaly", pa.bool_(), nullable=False),
        pa.field("heatmap", pa.string()),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class _Scored:
    """One picture and what the detector said of it."""

    file: SourceFile
    picture: NDArray[Any]
    score: float
    p_value: float
    heat: NDArray[np.float32]


def score_images(
    partition: Partition,
    model: ScoringModel,
    output: Output,
    detector: Any,
    progress: Progress,
    start: object = None,  # pictures have no history
) -> tuple[Counts, list[str]]:
    """Score a partition of pictures and commit its output.

    Returns
    -------
    counts : Counts
    files : list of str
        What was written, below the output folder.
    """
    bad: list[BadItem] = []
    root, counts = Path(output.root), Counts(bad.append)
    part, folder = root / output.part(partition.key), f"heatmaps/{partition.key}"
    shutil.rmtree(root / folder, ignore_errors=True)  # of an earlier run over other pictures
    rows: list[dict[str, Any]] = []
    for start in range(0, len(partition.files), AT_ONCE):
        files = partition.files[start : start + AT_ONCE]
        scored = _score(_decoded(files, counts), detector, counts)
        rows += [_answer(one, model, output, detector.heat_level_, folder) for one in scored]
        counts.rows_in += len(files)
        progress("images", counts.rows_in, len(partition.files))
    counts.rows_out = len(rows)
    counts.rows_flagged = sum(row["is_anomaly"] for row in rows)
    partition.check_unchanged()
    quarantine = write_quarantine(root, partition.key, bad)
    with replace_file(part) as temporary:
        table = pa.Table.from_pylist(rows, schema=IMAGE_SCHEMA)
        pq.write_table(table, temporary, compression="zstd")
    drawn = [row["heatmap"] for row in rows if row["heatmap"]]
    return counts, [part.name, *([quarantine] if quarantine else []), *drawn]


def _decoded(
    files: tuple[SourceFile, ...], counts: Counts
) -> list[tuple[SourceFile, NDArray[Any]]]:
    """Decode a few pictures; note those that cannot be."""
    pictures: list[tuple[SourceFile, NDArray[Any]]] = []
    for file in files:
        try:
            pictures.append((file, decode_image(file.path)))
        except ImageError as err:
            counts.set_aside(BadItem(file.id, err.code, str(err), file.path))
    return pictures


def _score(
    pictures: list[tuple[SourceFile, NDArray[Any]]], detector: Any, counts: Counts
) -> list[_Scored]:
    """Score all at once; when the detector refuses one of them, one by one to find it."""
    if not pictures:
        return []
    try:
        told = [file.condition for file, _ in pictures] if detector.condition else None
        said = detector.examine([pixels for _, pixels in pictures], conditions=told)
    except (DataError, CalibrationError) as err:
        if len(pictures) > 1:
            return [one for picture in pictures for one in _score([picture], detector, counts)]
        counts.set_aside(_refused(pictures[0][0], err))
        return []
    values = zip(said.anomaly_score, said.p_value, said.heat, strict=True)
    return [
        _Scored(file, stretch(pixels, detector.white_), float(score), float(p_value), heat)
        for (file, pixels), (score, p_value, heat) in zip(pictures, values, strict=True)
        if _is_finite(score, file, counts)
    ]


def _refused(file: SourceFile, err: Exception) -> BadItem:
    code = (
        "nonfinite_score" if isinstance(err, CalibrationError) else getattr(err, "code", "refused")
    )
    return BadItem(file.id, code, str(err), file.path)


def _is_finite(score: float, file: SourceFile, counts: Counts) -> bool:
    if np.isfinite(score):
        return True
    message = "the model gave no finite number for this picture"
    counts.set_aside(BadItem(file.id, "nonfinite_score", message, file.path))
    return False


def _answer(
    one: _Scored, model: ScoringModel, output: Output, level: float, folder: str
) -> dict[str, Any]:
    flagged = one.score > model.threshold
    which = output.options.heatmaps
    drawn = None
    if which == "all" or (which == "flagged" and flagged):
        drawn = f"{folder}/{PurePosixPath(one.file.id).name}.png"
        image = render_overlay(one.picture, one.heat, level=level)
        with replace_file(Path(output.root) / drawn) as temporary:
            image.save(temporary, format="PNG")
    return {
        "id": one.file.id,
        "score": one.score,
        "p_value": one.p_value,
        "is_anomaly": flagged,
        "heatmap": drawn,
        "model_version": model.version,
        "threshold": model.threshold,
    }
