"""Learning from images: their entities are folders, or cells of the manifest that lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_anomaly.batch.learning.judging import PartLearning

if TYPE_CHECKING:
    from vae_anomaly.batch.review.images import ScoredImage
    from vae_anomaly.detectors.judged import JudgedImages


class ImageLearning(PartLearning):
    """Judges the images of one partition by what was learned, and keeps what is learned."""

    def take_images(
        self, scored: Sequence[ScoredImage], judged: JudgedImages
    ) -> list[dict[str, Any]]:
        """Judge and keep images that were looked at together; return their further columns."""
        by_place = {one.place: number for number, one in enumerate(scored)}
        answers: list[dict[str, Any]] = [{} for _ in scored]
        for places, examined in judged.examined(list(by_place)):
            own = [scored[by_place[place]] for place in places]
            columns = self._columns_of(own, examined)
            for k, place in enumerate(places):
                answers[by_place[place]] = {name: own[k] for name, own in columns.items()}
        return answers

    def _columns_of(self, own: Sequence[ScoredImage], examined: Any) -> dict[str, Any]:
        keys = {
            column: [one.file.entities[number] or None for one in own]
            for number, column in enumerate(self.columns)
        }
        return self.take(
            [one.file.id for one in own], examined, np.array([one.score for one in own]),
            np.array([one.p_value for one in own]), keys,
            lambda column, place: f"{column} {keys[column][place]}",
        ).columns()  # fmt: skip


def learned_of(
    learning: ImageLearning | None, scored: Sequence[ScoredImage], judged: JudgedImages
) -> list[dict[str, Any]]:
    """Return what a run with learning adds to the row of each image; else nothing."""
    return [{} for _ in scored] if learning is None else learning.take_images(scored, judged)
