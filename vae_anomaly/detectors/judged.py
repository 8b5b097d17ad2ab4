"""From rows or images, some of them bad, to verdicts: the way of batch, MLflow and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.scoring.judging import (
    Fault,
    Verdicts,
    all_at_once,
    faults_in,
    judge_sound,
    one_by_one,
)

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.arrays import Floats32, Indices
    from vae_anomaly.data.images.decode import ImageReading, Pixels
    from vae_anomaly.detectors.images.examination import ImageExamination
    from vae_anomaly.detectors.protocol import ImageDetector, TableDetector
    from vae_anomaly.detectors.tabular.examination import TableExamination
    from vae_anomaly.detectors.tabular.reasons import ExplainedRow

    Look = tuple[ImageExamination, int]

AT_ONCE = 32  # decoded images in memory
HELD_BYTES = 2**28  # or fewer: those that together are larger are scored at once
N_REASONS = 3  # texts beside a flagged row, the strongest first

File = TypeVar("File")


@dataclass(frozen=True)
class JudgedRows:
    """Verdicts on N rows, and what their reasons are read from.

    Parameters
    ----------
    verdicts : Verdicts
    detector : TableDetector
    examination : TableExamination or None
        Of the sound rows; None where there are none.
    places : ndarray of int
        Where these are among all rows.
    """

    verdicts: Verdicts
    detector: TableDetector
    examination: TableExamination | None
    places: Indices

    def reasons(self, top: int, apart_from: Sequence[int] = ()) -> dict[int, list[str]]:
        """Say what is unusual about each row that was scored and flagged, by its place."""
        flagged = self.verdicts.is_anomaly & self.verdicts.is_scored
        flagged[list(apart_from)] = False
        chosen = np.flatnonzero(flagged[self.places])
        if self.examination is None or not chosen.size:
            return {}
        texts = self.detector.reasons_of(self.examination.take(chosen), top)
        return dict(zip(self.places[chosen].tolist(), texts, strict=True))

    def explained(self, places: Sequence[int], top: int) -> dict[int, ExplainedRow]:
        """Explain some of the rows that were scored: reasons and contributions, by its place."""
        from vae_anomaly.detectors.tabular.reasons import explained

        chosen = np.flatnonzero(np.isin(self.places, np.asarray(places, dtype=np.int64)))
        if self.examination is None or not chosen.size:
            return {}
        rows = self.places[chosen]
        found = explained(self.examination.take(chosen), self.verdicts.is_anomaly[rows], top)
        return dict(zip(rows.tolist(), found, strict=True))


def columns_as_text(detector: TableDetector, *further: str | None) -> tuple[str, ...]:
    """Return the columns that a CSV is to be read with as they are written, not as numbers.

    What the schema says, the entities, and ``further`` names where there are any.
    """
    entities = () if detector.entities_ is None else detector.entities_.columns.as_text
    return (*detector.schema_.as_text, *entities, *(name for name in further if name is not None))


def row_faults(detector: TableDetector, frame: pd.DataFrame) -> list[Fault | None]:
    """Name the rows that cannot be read, (N,)."""
    pairs = detector.schema_.bad_rows(frame)
    return [None if pair is None else Fault(*pair) for pair in pairs]


def judge_rows(
    detector: TableDetector, frame: pd.DataFrame, faults: Sequence[Fault | None]
) -> JudgedRows:
    """Score the rows that have no fault, in one pass.

    Parameters
    ----------
    detector : TableDetector
    frame : DataFrame of N rows
        With the model's columns.
    faults : sequence of N Fault or None
        As `row_faults`, and whatever else is known to be wrong.
    """
    places = np.flatnonzero([fault is None for fault in faults])
    examination = detector.examine(frame.iloc[places]) if places.size else None
    raw = np.full(len(frame), np.nan)
    if examination is not None:
        raw[places] = examination.raw_score
    threshold = detector.threshold_.value
    verdicts = judge_sound(raw, faults, detector.calibration_, threshold, "row")
    return JudgedRows(verdicts, detector, examination, places)


@dataclass(frozen=True)
class JudgedImages:
    """Verdicts on N images, and what else one look at them has found.

    Parameters
    ----------
    verdicts : Verdicts
    heatmaps : tuple of N ndarray or None
        In sd of held-out normals, float32; None where an image was not looked at.
    looks : tuple of N (ImageExamination, int) or None
        Where each was examined, and its place there.
    """

    verdicts: Verdicts
    heatmaps: tuple[Floats32 | None, ...]
    looks: tuple[Look | None, ...]

    def examined(self, places: Sequence[int]) -> Iterator[tuple[list[int], ImageExamination]]:
        """Yield some of the images with what is known of them, those looked at together as one."""
        together: dict[int, list[tuple[int, Look]]] = {}
        for place in places:
            look = self.looks[place]
            if look is not None:
                together.setdefault(id(look[0]), []).append((place, look))
        for group in together.values():
            rows = np.array([row for _, (_, row) in group])
            yield [place for place, _ in group], group[0][1][0].take(rows)


def require_told_conditions(detector: ImageDetector, told: Iterable[str | None]) -> None:
    """Refuse files of which none tells what it shows, where the model judges them by that.

    Each would be judged as what fits it best.

    Parameters
    ----------
    detector : ImageDetector
    told : iterable of str or None
        The conditions of the files.

    Raises
    ------
    ConfigError
        If the model was fitted with ``conditions=`` and does not know where files tell theirs.
    DataError
        If no file tells one.
    """
    if not detector.conditions_ or any(condition is not None for condition in told):
        return
    known = ", ".join(detector.conditions_[:5])
    if detector.condition is None:
        raise ConfigError(
            f"The model knows the conditions {known}, but not where files tell theirs: it was "
            "fitted with conditions=. Tell it once, by the folder or a column of the manifest: "
            "from vae_anomaly import load_detector; "
            "load_detector(DIR).set_params(condition='folder').save(NEW_DIR)"
        )
    raise DataError(
        f"No image tells its {detector.condition!r}, by which the model judges it ({known}). Give "
        f"a manifest with the columns path and {detector.condition}."
    )


def decoded_blocks(
    files: Iterable[File], decode: Callable[[File], Pixels]
) -> Iterator[tuple[list[File], list[Pixels | Fault]]]:
    """Yield files with their pixels, as many at once as memory is meant to hold.

    At most 32 images, of 256 MiB and the one that was read last; larger ones come alone. Those that
    cannot be decoded are faults. What was yielded is held no longer here.
    """
    block: list[File] = []
    images: list[Pixels | Fault] = []
    for file in files:
        block.append(file)
        images += one_by_one([file], decode)
        held = sum(image.nbytes for image in images if not isinstance(image, Fault))
        if len(block) == AT_ONCE or held > HELD_BYTES:
            yield block, images
            block, images = [], []
    if block:
        yield block, images


def judge_images(
    detector: ImageDetector,
    images: Sequence[object],
    conditions: Sequence[str | None] | None = None,
    reading: ImageReading | None = None,
) -> JudgedImages:
    """Score images together; where one of them is refused, one by one to find it.

    Parameters
    ----------
    detector : ImageDetector
    images : sequence of N images or Fault
        Decoded images, paths or items of a listing; a fault stays one.
    conditions : sequence of N str or None, optional
        What each shows, for a conditional model.
    reading : ImageReading, optional
        Limits and the white of these images.
    """
    from vae_anomaly.detectors.images.image_list import open_images

    known = [None] * len(images) if conditions is None else conditions
    pairs = [
        image if isinstance(image, Fault) else (image, condition)
        for image, condition in zip(images, known, strict=True)
    ]

    def look(some: Sequence[tuple[object, str | None]]) -> list[Look]:
        given = None if conditions is None else [condition for _, condition in some]
        listed = open_images([image for image, _ in some], condition=detector.condition,
                             reading=reading)  # fmt: skip
        examination = detector.examine(listed, conditions=given)
        return [(examination, row) for row in range(len(some))]

    answers = all_at_once(pairs, look)
    looks = tuple(None if isinstance(one, Fault) else one for one in answers)
    raw = np.array([np.nan if one is None else one[0].raw_score[one[1]] for one in looks])
    threshold = detector.threshold_.value
    verdicts = judge_sound(raw, faults_in(answers), detector.calibration_, threshold, "image")
    return JudgedImages(
        verdicts, tuple(None if one is None else one[0].heatmap[one[1]] for one in looks), looks
    )
