"""Score the pictures of one partition, a few at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vae_anomaly.batch.commit import replace_file
from vae_anomaly.batch.overlay import render_overlay
from vae_anomaly.batch.plan import Partition, SourceFile
from vae_anomaly.batch.quarantine import BadItem, write_quarantine
from vae_anomaly.batch.settings import Output, ScoringModel
from vae_anomaly.data.images import decode_image
from vae_anomaly.errors import DataError, ImageError
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


@dataclass
class ImageCounts:
    """What became of a partition's pictures."""

    rows_in: int = 0
    rows_out: int = 0
    rows_flagged: int = 0
    bad: list[BadItem] = field(default_factory=list)


@dataclass(frozen=True)
class _Scored:
    file: SourceFile
    picture: NDArray[Any]
    raw: float


def score_images(
    partition: Partition,
    model: ScoringModel,
    output: Output,
    detector: Any,
    progress: Progress,
) -> tuple[ImageCounts, list[str]]:
    """Score a partition of pictures and commit its output.

    Returns
    -------
    counts : ImageCounts
    files : list of str
        What was written, below the output folder.
    """
    root, counts = Path(output.root), ImageCounts()
    part, heatmaps = root / output.part(partition.key), f"heatmaps/{partition.key}"
    shutil.rmtree(root / heatmaps, ignore_errors=True)  # of an earlier run over other pictures
    rows: list[dict[str, Any]] = []
    for start in range(0, len(partition.files), AT_ONCE):
        files = partition.files[start : start + AT_ONCE]
        scored = list(_score(files, detector, counts))
        rows += _answers(scored, model, output, detector, heatmaps)
        counts.rows_in += len(files)
        progress("images", counts.rows_in, len(partition.files))
    counts.rows_out = len(rows)
    counts.rows_flagged = sum(row["is_anomaly"] for row in rows)
    partition.check_unchanged()
    quarantine = write_quarantine(root, partition.key, counts.bad)
    with replace_file(part) as temporary:
        pq.write_table(
            pa.Table.from_pylist(rows, schema=IMAGE_SCHEMA), temporary, compression="zstd"
        )
    drawn = [row["heatmap"] for row in rows if row["heatmap"]]
    return counts, [part.name, *([quarantine] if quarantine else []), *drawn]


def _score(files: tuple[SourceFile, ...], detector: Any, counts: ImageCounts) -> Iterator[_Scored]:
    """Decode and score a few pictures; note those that cannot be."""
    pictures: list[tuple[SourceFile, NDArray[Any]]] = []
    for file in files:
        try:
            pictures.append((file, decode_image(file.path)))
        except ImageError as err:
            counts.bad.append(BadItem(file.id, err.code, str(err), file.path))
    for (file, picture), raw in zip(pictures, _raw_scores(pictures, detector, counts), strict=True):
        if raw is None:
            continue
        if np.isfinite(raw):
            yield _Scored(file, picture, raw)
        else:
            message = "the model gave no finite number for this picture"
            counts.bad.append(BadItem(file.id, "nonfinite_score", message, file.path))


def _raw_scores(
    pictures: list[tuple[SourceFile, NDArray[Any]]], detector: Any, counts: ImageCounts
) -> list[float | None]:
    """Score all at once; when the model refuses one of them, one by one to find it."""
    if not pictures:
        return []
    try:
        return [float(raw) for raw in detector._raw_score([pixels for _, pixels in pictures])]
    except DataError as err:
        if len(pictures) > 1:
            singles = [_raw_scores([picture], detector, counts) for picture in pictures]
            return [raw for (raw,) in singles]
        file = pictures[0][0]
        code = err.code if isinstance(err, ImageError) else "refused"
        counts.bad.append(BadItem(file.id, code, str(err), file.path))
        return [None]


def _answers(
    scored: list[_Scored], model: ScoringModel, output: Output, detector: Any, folder: str
) -> list[dict[str, Any]]:
    if not scored:
        return []
    raw = np.array([one.raw for one in scored], dtype=np.float64)
    scores = detector.calibration_.anomaly_score(raw)
    p_values = detector.calibration_.p_value(raw)
    flagged = scores > model.threshold
    drawn = _draw(scored, flagged, output, detector, folder)
    return [
        {
            "id": one.file.id,
            "score": float(scores[i]),
            "p_value": float(p_values[i]),
            "is_anomaly": bool(flagged[i]),
            "heatmap": drawn.get(i),
            "model_version": model.version,
            "threshold": model.threshold,
        }
        for i, one in enumerate(scored)
    ]


def _draw(
    scored: list[_Scored],
    flagged: NDArray[np.bool_],
    output: Output,
    detector: Any,
    folder: str,
) -> dict[int, str]:
    """Write the heatmaps that were asked for; return their paths below the output folder."""
    which = output.options.heatmaps
    chosen = [
        i for i in range(len(scored)) if which == "all" or (which == "flagged" and flagged[i])
    ]
    if not chosen:
        return {}
    heatmaps = detector.heatmap([scored[i].picture for i in chosen])  # (n, h, w)
    drawn = {}
    for i, heatmap in zip(chosen, heatmaps, strict=True):
        name = f"{folder}/{PurePosixPath(scored[i].file.id).name}.png"
        image = render_overlay(scored[i].picture, heatmap, high=HIGH, outline=OUTLINE)
        with replace_file(Path(output.root) / name) as temporary:
            image.save(temporary, format="PNG")
        drawn[i] = name
    return drawn


HIGH = 4.0
OUTLINE = 2.0
