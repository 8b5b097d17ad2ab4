"""Score the pictures of one partition, a few at a time."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from vae_anomaly.arrays import AnyArray, Floats32
from vae_anomaly.batch.overlay import render_mask, render_overlay
from vae_anomaly.batch.plan import Partition, SourceFile
from vae_anomaly.batch.quarantine import BadItem, Counts, write_quarantine
from vae_anomaly.batch.settings import Output, ScoringModel, Which
from vae_anomaly.data.images.bit_depth import stretch
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.errors import CalibrationError, DataError, ImageError
from vae_anomaly.files import replace_file
from vae_anomaly.progress import Progress

DRAWN = ("heatmaps", "masks")  # folders of pictures that are written
AT_ONCE = 32  # decoded pictures in memory
IMAGE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("p_value", pa.float64(), nullable=False),
        pa.field("is_anomaly", pa.bool_(), nullable=False),
        pa.field("heatmap", pa.string()),
        pa.field("mask", pa.string()),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class _Scored:
    """One picture and what the detector said of it."""

    file: SourceFile
    picture: AnyArray
    score: float
    p_value: float
    heat: Floats32


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
    part = root / output.part(partition.key)
    for kind in DRAWN:  # of an earlier run over other pictures
        shutil.rmtree(root / kind / partition.key, ignore_errors=True)
    rows: list[dict[str, Any]] = []
    at_once = AT_ONCE if detector.tile_size is None else 1  # tiles are for large pictures
    for start in range(0, len(partition.files), at_once):
        files = partition.files[start : start + at_once]
        scored = _score(_decoded(files, counts), detector, counts)
        rows += [_answer(one, model, output, detector.heat_level_, partition.key) for one in scored]
        counts.rows_in += len(files)
        progress("images", counts.rows_in, len(partition.files))
    counts.rows_out = len(rows)
    counts.rows_flagged = sum(row["is_anomaly"] for row in rows)
    partition.check_unchanged()
    quarantine = write_quarantine(root, partition.key, bad)
    with replace_file(part) as temporary:
        table = pa.Table.from_pylist(rows, schema=IMAGE_SCHEMA)
        pq.write_table(table, temporary, compression="zstd")
    drawn = [row[column] for column in ("heatmap", "mask") for row in rows if row[column]]
    return counts, [part.name, *([quarantine] if quarantine else []), *drawn]


def _decoded(files: tuple[SourceFile, ...], counts: Counts) -> list[tuple[SourceFile, AnyArray]]:
    """Decode a few pictures; note those that cannot be."""
    pictures: list[tuple[SourceFile, AnyArray]] = []
    for file in files:
        try:
            pictures.append((file, decode_image(file.path)))
        except ImageError as err:
            counts.set_aside(BadItem(file.id, err.code, str(err), file.path))
    return pictures


def _score(
    pictures: list[tuple[SourceFile, AnyArray]], detector: Any, counts: Counts
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
    one: _Scored, model: ScoringModel, output: Output, level: float, key: str
) -> dict[str, Any]:
    flagged, options = one.score > model.threshold, output.options
    name = f"{key}/{PurePosixPath(one.file.id).name}.png"
    drawn = masked = None
    if _is_wanted(options.heatmaps, flagged):
        drawn = f"heatmaps/{name}"
        _write(render_overlay(one.picture, one.heat, level=level), Path(output.root) / drawn)
    if _is_wanted(options.masks, flagged):
        masked = f"masks/{name}"
        _write(render_mask(one.picture, one.heat, level=level), Path(output.root) / masked)
    return {
        "id": one.file.id,
        "score": one.score,
        "p_value": one.p_value,
        "is_anomaly": flagged,
        "heatmap": drawn,
        "mask": masked,
        "model_version": model.version,
        "threshold": model.threshold,
    }


def _is_wanted(which: Which, flagged: bool) -> bool:
    return which == "all" or (which == "flagged" and flagged)


def _write(image: Image.Image, target: Path) -> None:
    with replace_file(target) as temporary:
        image.save(temporary, format="PNG")
