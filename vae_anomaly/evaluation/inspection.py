"""Why one item was flagged or not: score, p-value in words, evidence, reasons, regions, card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vae_anomaly.batch.histories import with_histories
from vae_anomaly.data.images.decode import ImageReading, Pixels
from vae_anomaly.data.images.folders import list_images
from vae_anomaly.data.tables.files import RaggedRow
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.labels import column_of
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.detectors.judged import JudgedRows, columns_as_text, judge_rows, row_faults
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.names import unlike
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.scoring.judging import Verdicts, judge
from vae_anomaly.thresholds.record import score_in_words
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.arrays import Floats32, Indices
    from vae_anomaly.data.tables.entity_histories import EntityHistories
    from vae_anomaly.detectors.images.heatmaps import Region
    from vae_anomaly.detectors.images.image_list import ImageList
    from vae_anomaly.detectors.protocol import Detector, ImageDetector, TableDetector

MAX_TITLE = 60
MAX_CARD_BYTES = 238  # of a name, so that its temporary file has one that disks take


@dataclass(frozen=True)
class Inspection:
    """All that is known of one item.

    Parameters
    ----------
    anomaly_score : float
        -log10 p; higher = more anomalous.
    threshold : float
        The item is an anomaly when its score lies above.
    words : str
        The p-value in words.
    evidence : dict of str to float
        Nats; higher = more anomalous.
    reasons : tuple of str
        The strongest first.
    contributions : dict of str to float
        Of a row: what each column adds to the score, nats, the largest first.
    regions : tuple of dict
        Of an image: box in its own pixels, share of its area, peak and mean heat.
    image : str, optional
        The card that was written.
    """

    id: str
    anomaly_score: float
    p_value: float  # in (0, 1]
    is_anomaly: bool
    is_extrapolated: bool
    threshold: float
    words: str
    evidence: dict[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    contributions: dict[str, float] = field(default_factory=dict)
    regions: tuple[dict[str, float], ...] = ()
    image: str | None = None


# ------------------------------------------------------------------ rows of a table


class FoundRows(NamedTuple):
    """Rows of a table that someone asked for.

    Parameters
    ----------
    frame : DataFrame of N rows
        With the features of their entities' past; the index counts the rows of the table from 0.
    names : list of N str
        ``days.csv:17``
    histories : EntityHistories, optional
        That have taken all rows of the table, of a model with entities.
    """

    frame: pd.DataFrame
    names: list[str]
    histories: EntityHistories | None = None


def find_rows(
    detector: TableDetector,
    item: str,
    *,
    row: int | None = None,
    identifier: str | None = None,
    top: int = 3,
    state: str | Path | None = None,
) -> FoundRows:
    """Find the rows that ``FILE``, ``FILE:ROW``, a row number or an id name, and name them.

    Rows count from 1. Without a row, the ``top`` most anomalous are found. A state is what the
    histories of entities go on from, as in `with_past`. DataError where there is no such row or
    id, ConfigError where an id is given and the model has no id column.
    """
    file, _, number = item.rpartition(":")
    if file and number.isdigit() and not Path(item).exists():
        item, row = file, int(number)
    ragged: list[RaggedRow] = []
    rows = read_table(item, as_text=columns_as_text(detector), ragged=ragged.append)
    frame, histories = with_histories(detector.entities_, rows, state)
    if identifier is not None:
        chosen = _rows_of_id(detector, frame, identifier, item)
    elif row is not None:
        chosen = _row_of_number(frame, row, ragged, item)
    else:
        chosen = _highest_scored(detector, frame, top)
    names = [f"{Path(item).name}:{number + 1}" for number in frame.index[chosen]]
    return FoundRows(frame.iloc[chosen], names, histories)


def _row_of_number(
    frame: pd.DataFrame, row: int, ragged: Sequence[RaggedRow], item: str
) -> Indices:
    """Find a row by its number, which counts those that cannot be read."""
    for one in ragged:
        if one.row == row - 1:
            raise DataError(f"{item}, line {one.line}: row {row} has {one.reason}")
    chosen = np.flatnonzero(np.asarray(frame.index) == row - 1)
    if not chosen.size:
        n_rows = number_of(len(frame) + len(ragged), "row")
        raise DataError(f"{item} has {n_rows}; got row {row}. Rows count from 1.")
    return chosen


def _rows_of_id(
    detector: TableDetector, frame: pd.DataFrame, identifier: str, item: str
) -> Indices:
    column = detector.schema_.id_column
    if column is None:
        raise ConfigError("The model knows no id column. Name the row by number: FILE:ROW.")
    rows = np.flatnonzero(read_keys(column_of(frame, column, "--id")) == identifier)
    if not rows.size:
        raise DataError(f"{item} has no row whose {column} is {identifier!r}. Check the id.")
    return rows


def _highest_scored(detector: TableDetector, frame: pd.DataFrame, top: int) -> Indices:
    detector.schema_.check(frame)
    verdicts = judge_rows(detector, frame, row_faults(detector, frame)).verdicts
    if not verdicts.is_scored.any():
        raise DataError("No row of the table can be read. Try: vae-anomaly data check")
    order = np.argsort(-verdicts.score, kind="stable")  # what has no score comes last
    return order[: min(top, int(verdicts.is_scored.sum()))]


def inspect_rows(
    detector: TableDetector,
    rows: pd.DataFrame,
    names: Sequence[str] | None = None,
    *,
    top: int = 3,
    look: Callable[[list[Inspection], JudgedRows], None] | None = None,
) -> list[Inspection]:
    """Explain rows of a table.

    Parameters
    ----------
    rows : DataFrame of N rows
    names : sequence of N str, optional
        What each row is called; its number unless given.
    top : int
        Most reasons a row.
    look : callable, optional
        Called with the inspections, and with what they were read from.

    Raises
    ------
    DataError
        If a cell cannot be read; SchemaError if columns are missing.
    """
    from vae_anomaly.detectors.tabular.explain import explain

    examination = detector.examine(rows)
    verdicts = judge(examination.raw_score, detector.calibration_, detector.threshold_.value)
    evidence, parts = examination.evidence_table(), explain(examination)
    reasons = detector.reasons_of(examination, top)
    named = list(names) if names is not None else [f"row {i + 1}" for i in range(len(rows))]
    done = [
        replace(
            _inspection(detector, verdicts, i, named[i], "rows"),
            evidence=_plain(evidence.iloc[i]),
            reasons=tuple(reasons[i]),
            contributions=_plain(parts.iloc[i].sort_values(ascending=False, kind="stable")),
        )
        for i in range(len(rows))
    ]
    if look is not None:
        look(done, JudgedRows(verdicts, detector, examination, np.arange(len(rows))))
    return done


def _inspection(
    detector: Detector, verdicts: Verdicts, place: int, name: str, noun: str
) -> Inspection:
    score, p_value = float(verdicts.score[place]), float(verdicts.p_value[place])
    return Inspection(
        id=name,
        anomaly_score=score,
        p_value=p_value,
        is_anomaly=bool(verdicts.is_anomaly[place]),
        is_extrapolated=bool(verdicts.is_extrapolated[place]),
        threshold=float(detector.threshold_.value),
        words=score_in_words(score, p_value, detector.calibration_.n, noun),
    )


def _plain(values: pd.Series) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items()}


# ------------------------------------------------------------------ images


@dataclass(frozen=True)
class SeenImage:
    """What an image was inspected by.

    Parameters
    ----------
    listed : ImageList of one image
    pixels : Pixels
        On the scale that the model sees.
    heat : ndarray of shape (H, W), sd of held-out normals
        At the size of the image.
    regions : list of Region
        The hottest first.
    """

    listed: ImageList
    pixels: Pixels
    heat: Floats32
    regions: list[Region]


def inspect_images(
    detector: ImageDetector,
    items: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    top: int = 3,
    follow_links: bool = False,
    reading: ImageReading | None = None,
    progress: Progress | None = None,
    look: Callable[[Inspection, Path, SeenImage], None] | None = None,
) -> list[Inspection]:
    """Explain images, and draw a card of each.

    Parameters
    ----------
    items : sequence of path
        Images, folders of them, manifests or patterns.
    out : path, optional
        Folder of the cards; none are drawn without it.
    top : int
        Most reasons an image.
    follow_links : bool
        Follow links that lead out of a folder.
    reading : ImageReading, optional
        How large files may be, and what is white in these images.
    look : callable, optional
        Called with each inspection, its file, and what it was inspected by.

    Raises
    ------
    ImageError
        If an image cannot be read; it is named.
    """
    from vae_anomaly.detectors.images.image_list import open_images

    tell = progress or null_progress
    listed = list_images(items[0] if len(items) == 1 else items, follow_links=follow_links)
    cards = _card_names([item.id for item in listed])
    done = []
    for i, item in enumerate(listed, start=1):
        card = None if out is None else Path(out) / cards[item.id]
        image = open_images([item.path], condition=detector.condition, reading=reading)
        inspection, seen = _inspect_image(detector, item.id, image, card, top)
        done.append(inspection)
        if look is not None:
            look(inspection, item.path, seen)
        tell("inspect", i, len(listed))
    return done


def _card_names(ids: Sequence[str]) -> dict[str, str]:
    """Return what the card of each image is called: readable, short, no two alike."""
    plain = [name.strip("/").replace("/", "__").replace("\\", "%") for name in ids]
    flat = [name.removesuffix(".png") for name in plain]
    return dict(zip(ids, unlike(flat, ids, MAX_CARD_BYTES, ".png"), strict=True))


def _inspect_image(
    detector: ImageDetector, name: str, listed: ImageList, card: Path | None, top: int
) -> tuple[Inspection, SeenImage]:
    """Return what is known of an image, and what it was inspected by."""
    from vae_anomaly.detectors.images.heatmaps import resize_heat
    from vae_anomaly.detectors.images.reasons import regions_of

    opened = detector.opened(listed)
    pixels = opened.pixels(0)
    examination = detector.examine(listed)
    heat = resize_heat(examination.heatmap, (pixels.shape[0], pixels.shape[1]))[0]
    (regions,) = regions_of(examination, detector.heat_level_)
    verdicts = judge(examination.raw_score, detector.calibration_, detector.threshold_.value)
    inspection = replace(
        _inspection(detector, verdicts, 0, name, "images"),
        evidence=_plain(examination.evidence.iloc[0]),
        reasons=tuple(detector.reasons_of(examination, top, [regions])[0]),
        regions=tuple(asdict(region) for region in regions),
    )
    seen = SeenImage(opened, pixels, heat, regions)
    if card is not None:
        inspection = _with_card(inspection, seen, detector.heat_level_, card)
    return inspection, seen


def _with_card(inspection: Inspection, seen: SeenImage, level: float, card: Path) -> Inspection:
    from vae_anomaly.reports.cards import inspection_card
    from vae_anomaly.reports.figures import write_figure

    verdict = "ANOMALY" if inspection.is_anomaly else "normal"
    title = (
        f"{_end_of(inspection.id)}   {verdict}   score {inspection.anomaly_score:.2f} "
        f"(threshold {inspection.threshold:.2f})\n{inspection.words}"
    )
    figure = inspection_card(seen.pixels, seen.heat, seen.regions, level=level, title=title)
    return replace(inspection, image=str(write_figure(figure, card)))


def _end_of(name: str) -> str:
    """Return a name, of a long one its end, as a title has room for."""
    return name if len(name) <= MAX_TITLE else f"...{name[-MAX_TITLE:]}"
