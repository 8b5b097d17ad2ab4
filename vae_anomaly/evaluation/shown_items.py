"""Inspected items as pages show them: made by what makes them for reviewers of batch runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vae_anomaly.batch.review.drawings import shrunk
from vae_anomaly.batch.review.rows import RowReview
from vae_anomaly.batch.review.shown import expected_images, shown_image, shown_item
from vae_anomaly.detectors.judged import N_REASONS, JudgedRows
from vae_anomaly.evaluation.inspection import FoundRows, Inspection, SeenImage
from vae_anomaly.names import spelled
from vae_anomaly.reports.facts.inspect import EVIDENCE, InspectedItem, InspectFacts
from vae_anomaly.reports.facts.items import ReviewItem

if TYPE_CHECKING:
    from vae_anomaly.detectors.protocol import AnyDetector

LARGE_SIDE: Final = 960
"""Pixels of the longer side of an image, which has a page almost for itself."""


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

    def add_image(self, one: Inspection, path: Path, seen: SeenImage) -> None:
        """Take an image, as `inspect_images` hands it to ``look``."""
        assert self._detector.kind == "image"  # noqa: S101 - it has inspected an image
        (expected,) = expected_images(self._detector, seen.listed, LARGE_SIDE)
        image = shown_image(
            one.id,
            shrunk(seen.pixels, LARGE_SIDE),
            seen.heat,
            seen.regions,
            size=(seen.pixels.shape[0], seen.pixels.shape[1]),
            level=self._detector.heat_level_,
            source=spelled(str(path)),
            reconstruction=expected,
        )
        item = shown_item(
            self._detector, one.id, one.anomaly_score, one.p_value, is_anomaly=one.is_anomaly
        )
        self._add(one, replace(item, image=image))

    def add_rows(
        self, found: FoundRows, inspections: Sequence[Inspection], judged: JudgedRows
    ) -> None:
        """Take the rows that were found, and what `inspect_rows` hands to ``look``."""
        assert self._detector.kind == "tabular"  # noqa: S101 - it has inspected rows
        file = found.names[0].rpartition(":")[0]
        made = [] if self._detector.entities_ is None else list(self._detector.entities_.names)
        frame = found.frame.drop(columns=made)  # cells are shown as they were read
        review = RowReview(file, self._detector, found.histories)
        explained = judged.explained(range(len(frame)), N_REASONS)
        items = review.items(judged, explained, found.names, frame)
        for one, item in zip(inspections, items, strict=True):
            self._add(one, item)

    def facts(self) -> InspectFacts:
        """Return everything that the page shows."""
        threshold, n = self._detector.threshold_.value, self._detector.calibration_.n
        return InspectFacts(self._model, float(threshold), n, tuple(self._items))

    def _add(self, one: Inspection, item: ReviewItem) -> None:
        evidence = tuple((EVIDENCE[k], v) for k, v in one.evidence.items() if k in EVIDENCE)
        shown = replace(item, reasons=one.reasons)
        self._items.append(InspectedItem(shown, one.is_extrapolated, evidence))
