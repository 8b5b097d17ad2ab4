"""The strangest training items as reviewers see them: images with maps, rows with reasons."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vae_anomaly.arrays import Ints
from vae_anomaly.batch.review.drawings import shrunk
from vae_anomaly.batch.review.rows import shown_row
from vae_anomaly.batch.review.shown import shown_image, shown_item
from vae_anomaly.detectors.images.held_out import HeldOutImages, examine_strangest
from vae_anomaly.detectors.images.reasons import reasons_of, regions_of
from vae_anomaly.detectors.judged import N_REASONS
from vae_anomaly.detectors.tabular.held_out import HeldOutRows, raw_scores_of
from vae_anomaly.detectors.tabular.reasons import ExplainedRow, explained
from vae_anomaly.detectors.tabular.reasons.wording import name_of
from vae_anomaly.reports.facts.items import ReviewItem
from vae_anomaly.scoring.judging import Verdicts, judge

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector
    from vae_anomaly.detectors.images.image_list import ImageList
    from vae_anomaly.detectors.tabular.examination import TableExamination

KEPT_SIDE: Final = 256
"""Pixels of the longer side of a training image that a model keeps."""

MOST_CONTRIBUTIONS: Final = 8
_PRIVATE: Final = ("person", "place", "identifier")


def strange_images(detector: ImageVAEDetector, images: ImageList) -> tuple[ReviewItem, ...]:
    """Return the strangest of the training images, as they were judged when held out."""
    held = detector.held_out_
    if not isinstance(held, HeldOutImages):
        return ()
    model, calibration, level = detector.model_, detector.calibration_, detector.heat_level_
    seen = examine_strangest(held, images, model, calibration, detector.device)
    bound = detector.threshold_.value
    regions = regions_of(seen, level)
    said = reasons_of(seen, model, bound, regions)
    verdicts = judge(seen.raw_score, calibration, bound)
    items = []
    for i, name in enumerate(seen.ids):
        pixels = seen.images.pixels(i)
        image = shown_image(
            name, shrunk(pixels, KEPT_SIDE), seen.heatmap[i], regions[i],
            size=(pixels.shape[0], pixels.shape[1]), level=level,
        )  # fmt: skip
        item = _item(detector, name, verdicts, i)
        items.append(replace(item, reasons=tuple(said[i][:N_REASONS]), image=image))
    return tuple(items)


def strange_rows(detector: TabularVAEDetector, rows: pd.DataFrame) -> tuple[ReviewItem, ...]:
    """Return the strangest of the training rows, explained by what had not seen them.

    Rows are called by their place: an id column is a column of identifiers.
    """
    held = detector.held_out_
    if not isinstance(held, HeldOutRows):
        return ()
    items = [
        item
        for places, examination in held.seen
        for item in _strange_rows(detector, held, rows, places, examination)
    ]
    return tuple(sorted(items, key=lambda item: (-item.score, item.row.row if item.row else 0)))


def _strange_rows(
    detector: TabularVAEDetector,
    held: HeldOutRows,
    rows: pd.DataFrame,
    places: Ints,
    examination: TableExamination,
) -> Iterator[ReviewItem]:
    raw = raw_scores_of(held, places)
    verdicts = judge(raw, detector.calibration_, detector.threshold_.value)
    shown = [column.name for column in detector.schema_.features if column.role not in _PRIVATE]
    private = {column.name for column in detector.schema_.columns} - set(shown)
    n_asked = MOST_CONTRIBUTIONS + len(private)
    examination = replace(
        examination, model=replace(examination.model, entities=detector.entities_)
    )  # which it is told after the fit: reasons speak of them in words
    found = explained(examination, verdicts.is_anomaly, N_REASONS, n_asked)
    for i, (place, why) in enumerate(zip(places.tolist(), found, strict=True)):
        row = rows.iloc[[place]][shown].set_axis([place])
        item = _item(detector, f"training row {place + 1:,}", verdicts, i)
        told = _without(replace(why, score=float(raw[i])), {name_of(name) for name in private})
        yield replace(item, reasons=why.reasons, row=shown_row(row, told))


def _without(why: ExplainedRow, private: Collection[str]) -> ExplainedRow:
    """Return a row explained by the columns that are not private; the rest is one sum."""
    kept = [part for part in why.parts if part.column not in private][:MOST_CONTRIBUTIONS]
    rest = why.score - sum(part.nats for part in kept)
    return replace(why, parts=tuple(kept), rest=rest)


def _item(
    detector: ImageVAEDetector | TabularVAEDetector, name: str, verdicts: Verdicts, i: int
) -> ReviewItem:
    score, p_value = float(verdicts.score[i]), float(verdicts.p_value[i])
    return shown_item(detector, name, score, p_value, is_anomaly=bool(verdicts.is_anomaly[i]))
