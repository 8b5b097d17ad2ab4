"""The strangest training items as reviewers see them: images with maps, rows with reasons."""

from __future__ import annotations

import base64
import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from PIL import Image

from vae_anomaly.detectors.images.heatmaps import (
    HEAT_RANGE,
    contours,
    find_regions,
    resize_heat,
)
from vae_anomaly.detectors.images.held_out import HeldOutImages, examine_strangest
from vae_anomaly.detectors.images.reasons import reasons_of
from vae_anomaly.detectors.judged import N_REASONS
from vae_anomaly.detectors.tabular.explain import explain
from vae_anomaly.detectors.tabular.held_out import HeldOutRows, raw_scores_of
from vae_anomaly.detectors.tabular.reasons import reasons
from vae_anomaly.reports.cards import shown
from vae_anomaly.reports.facts.items import (
    MAP_SIDE,
    ReviewItem,
    ShownContribution,
    ShownImage,
    ShownRegion,
    ShownRow,
)
from vae_anomaly.scoring.judging import judge
from vae_anomaly.thresholds.record import score_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vae_anomaly.arrays import AnyArray, Floats32
    from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector
    from vae_anomaly.detectors.images.image_list import ImageList
    from vae_anomaly.detectors.tabular.examination import TableExamination
    from vae_anomaly.reports.facts.training import ColumnRange

KEPT_SIDE: Final = 256
"""Pixels of the longer side of a training image that a model keeps."""

MOST_CONTRIBUTIONS: Final = 8
_QUALITY: Final = 75
_MAP_PIXELS: Final = 192  # of a side, from which outlines are drawn
_MOST_REGIONS: Final = 5
_PRIVATE: Final = ("person", "place", "identifier")


def strange_images(detector: ImageVAEDetector, images: ImageList) -> tuple[ReviewItem, ...]:
    """Return the strangest of the training images, as they were judged when held out."""
    held = detector.held_out_
    if not isinstance(held, HeldOutImages):
        return ()
    model, calibration = detector.model_, detector.calibration_
    seen = examine_strangest(held, images, model, calibration, detector.device)
    bound = detector.threshold_.value
    said = reasons_of(seen, model, bound)
    verdicts = judge(seen.raw_score, calibration, bound)
    return tuple(
        ReviewItem(
            id=name,
            score=float(verdicts.score[i]),
            p_value=float(verdicts.p_value[i]),
            is_anomaly=bool(verdicts.is_anomaly[i]),
            roles=(),
            draw=0.0,
            words=_words(verdicts.score[i], verdicts.p_value[i], calibration.n, "images"),
            reasons=tuple(said[i][:N_REASONS]),
            image=_shown_image(name, seen.images.pixels(i), seen.heatmap[i], model.heat_level),
        )
        for i, name in enumerate(seen.ids)
    )


def strange_rows(
    detector: TabularVAEDetector, rows: pd.DataFrame, columns: Sequence[ColumnRange]
) -> tuple[ReviewItem, ...]:
    """Return the strangest of the training rows, explained by what had not seen them.

    Rows are called by their place: an id column is a column of identifiers.
    """
    held = detector.held_out_
    if not isinstance(held, HeldOutRows):
        return ()
    items = [
        item
        for places, examination in held.seen
        for item in _strange_rows(detector, held, rows, places, examination, columns)
    ]
    return tuple(sorted(items, key=lambda item: (-item.score, item.row.row if item.row else 0)))


def _strange_rows(
    detector: TabularVAEDetector,
    held: HeldOutRows,
    rows: pd.DataFrame,
    places: AnyArray,
    examination: TableExamination,
    columns: Sequence[ColumnRange],
) -> list[ReviewItem]:
    raw = raw_scores_of(held, places)
    verdicts = judge(raw, detector.calibration_, detector.threshold_.value)
    parts = explain(examination)
    said = reasons(examination, verdicts.is_anomaly, N_REASONS)
    noun, n = "rows", detector.calibration_.n
    return [
        ReviewItem(
            id=f"training row {place + 1:,}",
            score=float(verdicts.score[i]),
            p_value=float(verdicts.p_value[i]),
            is_anomaly=bool(verdicts.is_anomaly[i]),
            roles=(),
            draw=0.0,
            words=_words(verdicts.score[i], verdicts.p_value[i], n, noun),
            reasons=tuple(said[i]),
            row=_shown_row(
                detector, rows.iloc[place], place, float(raw[i]), parts.iloc[i], columns
            ),
        )
        for i, place in enumerate(places.tolist())
    ]


def _shown_row(
    detector: TabularVAEDetector,
    row: pd.Series,
    place: int,
    raw: float,
    parts: pd.Series,
    columns: Sequence[ColumnRange],
) -> ShownRow:
    known = {column.name: column for column in columns}
    shown_columns = [c.name for c in detector.schema_.features if c.role not in _PRIVATE]
    largest = parts[[n for n in parts.index if n in shown_columns]].sort_values(
        key=lambda nats: -nats.abs(), kind="stable"
    )[:MOST_CONTRIBUTIONS]
    told = tuple(
        ShownContribution(
            column=str(name),
            nats=round(float(nats), 4),
            value=cell_text(row[str(name)]),
            typical=typical_words(known[str(name)]) if str(name) in known else "",
        )
        for name, nats in largest.items()
    )
    rest = raw - sum(one.nats for one in told)
    cells = tuple((name, cell_text(row[name])) for name in shown_columns)
    return ShownRow("", place + 1, raw, told, round(rest, 4), cells)


def typical_words(column: ColumnRange) -> str:
    """Say what is usual in a column: a range, or its most frequent values."""
    if column.low and column.low == column.high:
        return column.low
    if column.low:
        return f"{column.low} to {column.high}"
    return ", ".join(value for value, _ in column.frequent[:3])


def cell_text(cell: object) -> str:
    """Return a cell as text; an empty one as nothing."""
    if cell is None or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    if isinstance(cell, float | np.floating):
        return f"{float(cell):.6g}"
    return str(cell)


def _words(score: float, p_value: float, n: int, noun: str) -> str:
    return score_in_words(float(score), float(p_value), n, noun)


def _shown_image(name: str, pixels: AnyArray, heat: Floats32, level: float) -> ShownImage:
    height, width = pixels.shape[:2]
    full = resize_heat(heat[None], (height, width))[0]
    regions = find_regions(full, level)[:_MOST_REGIONS]
    folder = str(PurePosixPath(name).parent)
    return ShownImage(
        folder="" if folder == "." else folder,
        source="",
        width=width,
        height=height,
        thumbnail=_webp(shown(pixels)),
        heat=_grey_png(heat),
        contours=_outlines(heat, (height, width), level),
        regions=tuple(
            ShownRegion(r.left, r.top, r.right, r.bottom, r.area_share, r.peak, r.mean)
            for r in regions
        ),
        level=round(float(level), 4),
    )


def _outlines(heat: Floats32, size: tuple[int, int], level: float) -> tuple[tuple[float, ...], ...]:
    """Return outlines of a map as shares of width and height, x and y in turn."""
    factor = _MAP_PIXELS / max(size)
    height, width = (max(1, round(side * min(1.0, factor))) for side in size)
    lines = contours(resize_heat(heat[None], (height, width))[0], level)
    shares = [(line + 0.5) / (width, height) for line in lines]
    return tuple(tuple(round(float(v), 3) for v in line.reshape(-1)) for line in shares)


def _webp(image: AnyArray) -> str:
    small = Image.fromarray(image)
    small.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _grey_png(heat: Floats32) -> str:
    """Return a map as grey PNG, 0 to 255 over the fixed range of heat."""
    factor = min(1.0, MAP_SIDE / max(heat.shape))
    size = max(1, round(heat.shape[0] * factor)), max(1, round(heat.shape[1] * factor))
    low, high = HEAT_RANGE
    scaled = (resize_heat(heat[None], size)[0] - low) / (high - low)
    grey = np.rint(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
