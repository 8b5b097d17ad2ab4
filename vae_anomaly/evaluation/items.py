"""Items with their scores and what is known of them, from pictures, tables or the model itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_anomaly.arrays import Bools, Floats, Floats32, Objects
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.images.folders import ImageItem, list_images
from vae_anomaly.data.tables.cells import read_numbers, read_text
from vae_anomaly.data.tables.generated import synthetic_rows
from vae_anomaly.data.tables.labels import column_of, find_labels
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.errors import ConfigError, DataError, ImageError
from vae_anomaly.evaluation.histories import with_past
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.thresholds.items import ScoredItems

if TYPE_CHECKING:
    import pandas as pd

BLOCK_ROWS = 8192
BLOCK_PICTURES = 32
PIXEL_SIDE = 128  # pixel figures are measured on maps and masks of this side
logger = logging.getLogger(__name__)


def held_out_normals(detector: Any) -> ScoredItems:
    """Return the normals that the model held out of its own training, as scored items."""
    scores = detector.calibration_.reference_scores()
    groups = detector.calibration_groups_
    ids = np.array([f"held-out {i + 1}" for i in range(len(scores))], dtype=object)
    counted = "" if groups is None else f" in {len(np.unique(groups)):,} groups"
    source = f"{len(scores):,} normals{counted} held out of training"
    return with_held_out(ScoredItems(ids, scores, groups=groups, source=source), detector)


def with_held_out(items: ScoredItems, detector: Any) -> ScoredItems:
    """Add what the scores were calibrated on, for policies that count p-values."""
    return replace(
        items,
        held_out=detector.calibration_.reference_scores(),
        held_out_groups=detector.calibration_groups_,
    )


def score_items(
    detector: Any,
    source: Any,
    *,
    labels: str | None = None,
    groups: str | None = None,
    amounts: str | None = None,
    by: Sequence[str] = (),
    state: str | Path | None = None,
    progress: Progress | None = None,
) -> ScoredItems:
    """Score an input and find its labels.

    Parameters
    ----------
    detector : TabularVAEDetector or ImageVAEDetector
    source : path, glob or list
        A table, or pictures; of pictures in the MVTec layout only ``test`` is taken.
    labels : str, optional
        Of a table: ``COLUMN`` or ``FILE:COLUMN``. Pictures are labelled by their folders or
        manifest.
    groups, amounts : str, optional
        Columns of the table.
    by : sequence of str
        Columns of the table, or of the pictures' manifest, kept for figures by their values;
        "group" is what a picture's folder or manifest says.
    state : path, optional
        Of a model with entities: the histories to go on from, as `with_past`.
    progress : callable, optional

    Returns
    -------
    items : ScoredItems
        Without those that cannot be scored, were generated (column ``synthetic``) or, when labels
        are asked for, have none.

    Raises
    ------
    DataError
        If nothing can be scored.
    ConfigError
        If columns are named for pictures.
    """
    tell = progress or null_progress
    if detector.kind == "tabular":
        frame = with_past(detector, read_table(source), state)
        columns = (labels, groups, amounts, by)
        return _score_rows(detector, frame, *columns, str(source), tell)
    if labels or groups or amounts:
        raise ConfigError(
            "Pictures are labelled by their folders (good, scratch, ...) or by the columns kind "
            "or is_anomaly of a manifest, not by --labels, --groups or --stake. Leave it out."
        )
    return _score_pictures(detector, list_images(source, split="test"), by, str(source), tell)


def _score_rows(
    detector: Any,
    frame: pd.DataFrame,
    labels: str | None,
    groups: str | None,
    amounts: str | None,
    by: Sequence[str],
    source: str,
    tell: Progress,
) -> ScoredItems:
    detector.schema_.check(frame)
    id_column = detector.schema_.id_column
    named = id_column if id_column in frame.columns else None
    numbers = np.array([f"row {i + 1}" for i in range(len(frame))], dtype=object)
    ids = numbers if named is None else np.asarray(read_text(frame[named]))
    marks, kinds = np.zeros(len(frame)), None
    if labels is not None:
        marks, kinds = find_labels(labels, frame, ids if named else None, id_column)
    made = synthetic_rows(frame, [column.name for column in detector.schema_.features])
    bad = detector.schema_.bad_rows(frame).notna().to_numpy() & ~made
    unlabelled = ~bad & ~made & ~np.isfinite(marks)
    keep = ~(bad | made | unlabelled)
    _require_some(keep, source)
    items = ScoredItems(
        ids=ids,
        scores=np.zeros(len(frame)),
        labels=None if labels is None else marks == 1.0,
        kinds=kinds,
        groups=None if groups is None else read_text(column_of(frame, groups, "--groups")),
        amounts=None if amounts is None else read_numbers(column_of(frame, amounts, "--stake"))[0],
        by={name: read_text(column_of(frame, name, "--by")) for name in by},
        left_out=_counts(unreadable=bad, synthetic=made, **{"without a label": unlabelled}),
        source=source,
    )
    scores = _row_scores(detector, frame[keep], tell)
    return replace(items.take(keep), scores=scores)


def _row_scores(detector: Any, frame: pd.DataFrame, tell: Progress) -> Floats:
    parts = []
    for start in range(0, len(frame), BLOCK_ROWS):
        parts.append(detector.anomaly_score(frame.iloc[start : start + BLOCK_ROWS]))
        tell("score rows", min(start + BLOCK_ROWS, len(frame)), len(frame))
    return np.concatenate(parts)


def _score_pictures(
    detector: Any, listed: list[ImageItem], by: Sequence[str], source: str, tell: Progress
) -> ScoredItems:
    known = [item for item in listed if item.is_anomaly is not None]
    listed = known or listed  # where some are labelled the others are left out
    without = len(listed) - len(known) if known else 0
    scores, heat, good = [], [], []
    for start in range(0, len(listed), BLOCK_PICTURES):
        for item, score, maps in _examined(detector, listed[start : start + BLOCK_PICTURES]):
            good.append(item)
            scores.append(score)
            heat.append(maps)
        tell("score pictures", min(start + BLOCK_PICTURES, len(listed)), len(listed))
    _require_some(np.ones(len(good), dtype=np.bool_), source)
    outlined = [i for i, item in enumerate(good) if item.is_anomaly is False or item.mask]
    marked = any(item.mask for item in good)
    return ScoredItems(
        ids=np.array([item.id for item in good], dtype=object),
        scores=np.array(scores),
        labels=np.array([bool(item.is_anomaly) for item in good]) if known else None,
        kinds=np.array([item.kind or _kind(item) for item in good], dtype=object)
        if known
        else None,
        groups=_groups(good),
        by={name: _picture_column(good, name) for name in by},
        left_out=_totals(unreadable=len(listed) - len(good), **{"without a label": without}),
        masks=tuple(_mask(good[i]) for i in outlined) if marked else (),
        heat=tuple(heat[i] for i in outlined) if marked else (),
        source=source,
    )


def _examined(detector: Any, items: list[ImageItem]) -> list[tuple[ImageItem, float, Floats32]]:
    """Score pictures at once, or one by one where one of them cannot be read."""
    from vae_anomaly.detectors.images.heatmaps import enlarge

    try:
        seen = detector.examine(items)
    except ImageError as err:
        if len(items) == 1:
            logger.warning("left out: %s", err)
            return []
        return [found for item in items for found in _examined(detector, [item])]
    maps = enlarge(seen.heatmap, (PIXEL_SIDE, PIXEL_SIDE))
    return list(zip(items, seen.anomaly_score.tolist(), maps, strict=True))


def _mask(item: ImageItem) -> Bools:
    """Return the outline of a picture's defects on the grid of pixel figures."""
    from vae_anomaly.data.images.resize import resize_image

    if item.mask is None:
        return np.zeros((PIXEL_SIDE, PIXEL_SIDE), dtype=np.bool_)
    outline = decode_image(Path(item.mask))
    flat = outline if outline.ndim == 2 else outline.max(axis=2)
    shares = resize_image((flat > 0).astype(np.uint8) * np.uint8(255), (PIXEL_SIDE, PIXEL_SIDE))
    covered = np.asarray(shares).reshape(PIXEL_SIDE, PIXEL_SIDE)
    return np.asarray(covered >= min(0.5, float(covered.max()) or 0.5), dtype=np.bool_)


def _kind(item: ImageItem) -> str:
    return "anomaly" if item.is_anomaly else "good"


def _groups(items: list[ImageItem]) -> Objects | None:
    if all(item.group is None for item in items):
        return None
    return np.array([item.group or item.id for item in items], dtype=object)


def _picture_column(items: list[ImageItem], name: str) -> Objects:
    """Return a column of the manifest, or the group, of each picture."""
    known = {"group", *items[0].columns} if items[0].columns else {"group"}
    if name not in known:
        raise ConfigError(
            f"The pictures have no column {name!r} for --by; known: {', '.join(sorted(known))}. "
            "Name a column of their manifest."
        )
    values = [item.columns.get(name) or (item.group if name == "group" else None) for item in items]
    return np.array(values, dtype=object)


def _require_some(keep: Bools, source: str) -> None:
    if not keep.any():
        raise DataError(
            f"Of {keep.size} items of {source} none can be used: each is unreadable, synthetic or "
            "without a label. Check the input with: vae-anomaly data check"
        )


def _counts(**masks: Bools) -> dict[str, int]:
    return _totals(**{reason: int(mask.sum()) for reason, mask in masks.items()})


def _totals(**counts: int) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if count}
