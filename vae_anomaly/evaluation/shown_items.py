"""Inspected items as pages show them: made by what batch runs keep for reviewers."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from vae_anomaly.arrays import Bytes, Floats32
from vae_anomaly.batch.review.rows import RowReview
from vae_anomaly.batch.review.store import ReviewKeeper
from vae_anomaly.data.images.decode import Pixels
from vae_anomaly.detectors.images.heatmaps import HEAT_RANGE, contours, resize_heat
from vae_anomaly.detectors.judged import judge_rows, row_faults
from vae_anomaly.evaluation.inspection import Inspection
from vae_anomaly.names import spelled
from vae_anomaly.reports.cards import shown as shown_pixels
from vae_anomaly.reports.facts.inspect import EVIDENCE, InspectedItem, InspectFacts
from vae_anomaly.reports.facts.items import MAP_SIDE, ReviewItem, ShownImage, ShownRegion

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.detectors.protocol import AnyDetector, ImageDetector, TableDetector

LARGE_SIDE: Final = 960
"""Pixels of the longer side of an image, which has a page almost for itself."""

_MOST_REGIONS: Final = 12


class PageItems:
    """Collects what a page shows of items, while they are inspected.

    Parameters
    ----------
    detector : AnyDetector
    model : str
        What the page calls the model.
    """

    def __init__(self, detector: AnyDetector, model: str) -> None:
        self._detector, self._model = detector, model
        self._items: list[InspectedItem] = []

    def add_image(self, one: Inspection, path: Path, pixels: Pixels, heat: Floats32) -> None:
        """Take an image, as `inspect_images` hands it to ``look``."""
        assert self._detector.kind == "image"  # noqa: S101 - it has inspected an image
        self._add(one, _shown_image(self._detector, one, path, pixels, heat))

    def add_rows(self, inspections: Sequence[Inspection], rows: pd.DataFrame) -> None:
        """Take the N rows of a table that were inspected, with what `inspect_rows` said."""
        assert self._detector.kind == "tabular"  # noqa: S101 - it has inspected rows
        names = [one.id for one in inspections]
        for one, item in zip(inspections, _shown_rows(self._detector, rows, names), strict=True):
            self._add(one, item)

    def facts(self) -> InspectFacts:
        """Return everything that the page shows."""
        threshold, n = self._detector.threshold_.value, self._detector.calibration_.n
        return InspectFacts(self._model, float(threshold), n, tuple(self._items))

    def _add(self, one: Inspection, item: ReviewItem) -> None:
        evidence = tuple((EVIDENCE[k], v) for k, v in one.evidence.items() if k in EVIDENCE)
        shown = replace(item, reasons=one.reasons)
        self._items.append(InspectedItem(shown, one.is_extrapolated, evidence))


def _shown_image(
    detector: ImageDetector, one: Inspection, path: Path, pixels: Pixels, heat: Floats32
) -> ReviewItem:
    """Return an inspected image as pages show it; pixels on the scale that the model sees."""
    height, width = heat.shape
    low, high = HEAT_RANGE
    small = resize_heat(heat[None], _within(heat.shape, MAP_SIDE))[0]
    share = np.clip((small - low) / (high - low), 0.0, 1.0)
    shown = ShownImage(
        folder=one.id.rpartition("/")[0],
        source=spelled(str(path)),
        width=width,
        height=height,
        thumbnail=_encoded(_shrunk(shown_pixels(pixels)), "WEBP"),
        heat=_encoded(np.rint(255.0 * share).astype(np.uint8), "PNG"),
        contours=_outlines(heat, detector.heat_level_),
        regions=tuple(_region(region) for region in one.regions[:_MOST_REGIONS]),
        level=detector.heat_level_,
        reconstruction=_expected(detector, pixels),
    )
    return replace(_plain_item(detector, one), image=shown)


def _expected(detector: ImageDetector, pixels: Pixels) -> str | None:
    """Return what the model expected instead; a bank of filters makes no image to look at."""
    reconstruct = getattr(detector, "reconstruct", None)
    if reconstruct is None or getattr(detector, "model", "") == "bank":
        return None
    expected = reconstruct([pixels])[0]
    return _encoded(_shrunk(shown_pixels(np.clip(expected, 0.0, 1.0))), "WEBP")


def _outlines(heat: Floats32, level: float) -> tuple[tuple[float, ...], ...]:
    """Return the outlines as shares of width and height, on a map that is small enough for it."""
    size = _within(heat.shape, 2 * MAP_SIDE)
    lines = contours(resize_heat(heat[None], size)[0], level)
    sides = np.array([size[1], size[0]])
    return tuple(tuple(((line + 0.5) / sides).round(3).ravel().tolist()) for line in lines)


def _region(region: Mapping[str, float]) -> ShownRegion:
    left, top, right, bottom = (int(region[side]) for side in ("left", "top", "right", "bottom"))
    share, peak, mean = (region[name] for name in ("area_share", "peak", "mean"))
    return ShownRegion(left, top, right, bottom, share, peak, mean)


def _within(size: tuple[int, ...], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _shrunk(image: Bytes) -> Bytes:
    small = Image.fromarray(image)
    small.thumbnail((LARGE_SIDE, LARGE_SIDE), Image.Resampling.BOX)
    return np.asarray(small)


def _encoded(image: Bytes, form: str) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, form, quality=85)
    return b64encode(file.getvalue()).decode()


def _shown_rows(
    detector: TableDetector, rows: pd.DataFrame, names: Sequence[str]
) -> list[ReviewItem]:
    """Return rows of a table as reviewers see them, by the names that they are called."""
    judged = judge_rows(detector, rows, row_faults(detector, rows))
    review = RowReview(names[0].rpartition(":")[0], detector)
    review.keeper = ReviewKeeper({"flagged": len(rows), "near_miss": len(rows), "audit": 0})
    review.take(judged, names, rows)
    made = {item.id: item for item in review.keeper.items()}
    return [made[name] for name in names]


def _plain_item(detector: AnyDetector, one: Inspection) -> ReviewItem:
    """Return what is known without an image or a row."""
    known = detector.probability_
    return ReviewItem(
        id=one.id, score=one.anomaly_score, p_value=one.p_value, is_anomaly=one.is_anomaly,
        roles=(), draw=0.0, words=one.words, reasons=one.reasons,
        probability=None if known is None else float(known.predict([one.anomaly_score])[0]),
    )  # fmt: skip
