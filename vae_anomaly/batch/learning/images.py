"""Learning from images: their entities are folders, or cells of the manifest that lists them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_anomaly.batch.learning.judging import PartLearning
from vae_anomaly.batch.learning.keeper import JudgedItems

if TYPE_CHECKING:
    from vae_anomaly.batch.review.images import ScoredImage
    from vae_anomaly.detectors.judged import JudgedImages


@dataclass(frozen=True)
class _Learned:
    """One of the images that were judged together."""

    items: JudgedItems
    row: int  # in them
    columns: dict[str, Any]  # further ones of the part
    is_anomaly: bool | None  # None where the detector's threshold flags


class ImageLearning(PartLearning):
    """Judges the images of one partition by what was learned, and keeps what is learned."""

    def judge_images(
        self, scored: Sequence[ScoredImage], judged: JudgedImages
    ) -> dict[int, _Learned]:
        """Judge images that were looked at together; return by place what was learned of each."""
        by_place = {one.place: one for one in scored}
        learned = dict[int, _Learned]()
        for places, examined in judged.examined(list(by_place)):
            own = [by_place[place] for place in places]
            learned |= dict(zip(places, self._judged(own, examined), strict=True))
        return learned

    def _judged(self, own: Sequence[ScoredImage], examined: Any) -> list[_Learned]:
        keys = {
            column: [one.file.entities[number] or None for one in own]
            for number, column in enumerate(self.columns)
        }
        answers, items = self.judge(
            [one.file.id for one in own], examined, np.array([one.score for one in own]),
            np.array([one.p_value for one in own]), keys,
            lambda column, place: f"{column} {keys[column][place]}",
        )  # fmt: skip
        columns, flags = answers.columns(), answers.is_anomaly
        return [
            _Learned(
                items, k, {name: cells[k] for name, cells in columns.items()},
                None if flags is None else bool(flags[k]),
            )
            for k in range(len(own))
        ]  # fmt: skip

    def keep_images(self, written: Sequence[_Learned]) -> None:
        """Keep of images that were judged together those that are written."""
        rows: dict[int, list[int]] = defaultdict(list)
        pieces = {id(one.items): one.items for one in written}
        for one in written:
            rows[id(one.items)].append(one.row)
        for piece, own in rows.items():
            self.keep(pieces[piece].take(np.array(own, np.int64)))


def learned_of(
    learning: ImageLearning | None, scored: Sequence[ScoredImage], judged: JudgedImages
) -> dict[int, _Learned]:
    """Return what was learned of images by their place; of a run without learning nothing."""
    return {} if learning is None else learning.judge_images(scored, judged)


def as_learned(scored: Sequence[ScoredImage], learned: dict[int, _Learned]) -> list[ScoredImage]:
    """Return images as what was learned flags them, where that has a threshold."""
    flags = {place: one.is_anomaly for place, one in learned.items()}
    return [
        one if (flag := flags.get(one.place)) is None else replace(one, is_anomaly=flag)
        for one in scored
    ]


def written_rows(
    learning: ImageLearning | None,
    seen: Sequence[tuple[ScoredImage, Any]],
    learned: dict[int, _Learned],
) -> list[dict[str, Any]]:
    """Return the rows of images with what was learned of them, and keep these."""
    if learning is None:
        return [row for _, row in seen]
    found = [learned[one.place] for one, _ in seen]
    learning.keep_images(found)
    return [{**row, **one.columns} for (_, row), one in zip(seen, found, strict=True)]
