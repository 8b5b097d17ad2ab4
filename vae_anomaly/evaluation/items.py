"""Scored items: of images or tables, of the model's own normals, or from a file of scores."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vae_anomaly.arrays import Bools, Floats, Objects
from vae_anomaly.batch.histories import with_past
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.data.images.folders import (
    ClassNames,
    ImageItem,
    Selection,
    condition_of,
    scan_labelled,
    select,
)
from vae_anomaly.data.images.folders.selection import MASKS
from vae_anomaly.data.tables.cells import read_booleans, read_numbers, read_text, take_apart
from vae_anomaly.data.tables.generated import synthetic_rows
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.kinds import Column, ColumnKind, infer_column
from vae_anomaly.data.tables.labels import MatchedLabels, column_of, match_labels
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.detectors.judged import (
    columns_as_text,
    judge_images,
    judge_rows,
    require_told_conditions,
    row_faults,
)
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.evaluation.outlines import HeatOnGrid, outlines_of
from vae_anomaly.names import shown_source
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.scoring.judging import NONFINITE, Fault
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.thresholds.basis import surprise_of
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.tracking.nights import LEARN_FILE
from vae_anomaly.verdicts.kept import read_kept_items
from vae_anomaly.words import names_of, number_of, verb_for

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.batch.plan import Source
    from vae_anomaly.detectors.protocol import AnyDetector, Detector, ImageDetector, TableDetector

BLOCK_ROWS = 8192
BLOCK_IMAGES = 32
_MOST_NAMED = 10  # items whose faults are logged
SCORE_NAMES = ("score", "anomaly_score")
P_COMBINED, PROBABILITY = "p_combined", "probability"
_FEW_DIGITS = 20.0  # nats of surprise, from which a probability has not the digits to rank by
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Columns:
    """Where a table says what its rows are."""

    labels: str | None
    groups: str | None
    amounts: str | None
    by: Sequence[str] = ()
    id_column: str | None = None


def held_out_normals(detector: Detector) -> ScoredItems:
    """Return the normals that the model held out of its own training, as scored items."""
    scores = detector.calibration_.reference_scores()
    groups = detector.calibration_groups_
    ids = np.array([f"held-out {i + 1}" for i in range(len(scores))], dtype=object)
    members = None if groups is None else groups.astype(object)
    counted = "" if groups is None else f" in {number_of(len(np.unique(groups)), 'group')}"
    source = f"{number_of(len(scores), 'normal')}{counted} held out of training"
    return with_held_out(ScoredItems(ids, scores, groups=members, source=source), detector)


def with_held_out(items: ScoredItems, detector: Detector) -> ScoredItems:
    """Add what the scores were calibrated on, for policies that count p-values."""
    return replace(
        items,
        held_out=detector.calibration_.reference_scores(),
        held_out_groups=detector.calibration_groups_,
    )


def score_items(
    detector: AnyDetector,
    source: Source,
    *,
    labels: str | None = None,
    groups: str | None = None,
    amounts: str | None = None,
    by: Sequence[str] = (),
    state: str | Path | None = None,
    classes: ClassNames | None = None,
    whole: bool = False,
    follow_links: bool = False,
    reading: ImageReading | None = None,
    labelled: bool = False,
    progress: Progress | None = None,
) -> ScoredItems:
    """Score an input and find its labels.

    Parameters
    ----------
    source : path, glob or list
        A table, or images; of a data set of images with parts only ``test`` is taken.
    labels : str, optional
        Of a table: ``COLUMN`` or ``FILE:COLUMN``. Images are labelled by their folders or
        manifest.
    groups, amounts : str, optional
        Columns of the table.
    by : sequence of str
        Columns of the table, or of the images' manifest, kept for figures by their values;
        "group" is what an image's folder or manifest says.
    state : path, optional
        Of a model with entities: the histories to go on from, as `with_past`.
    classes : ClassNames, optional
        Of images: which folders are good or defective, where their names do not tell it.
    whole : bool
        Of images: take every one of them, whatever its folders are called.
    follow_links : bool
        Of images: follow links that lead out of a folder.
    reading : ImageReading, optional
        How large files of images may be, and what is white in them.
    labelled : bool
        Refuse an input without labels, before anything is scored.

    Returns
    -------
    items : ScoredItems
        Without those that cannot be scored, were generated (column ``synthetic``) or, when labels
        are asked for, have none.

    Raises
    ------
    DataError
        If nothing can be scored, or labels are needed and there are none.
    ConfigError
        If columns are named for images.
    """
    tell = progress or null_progress
    where = shown_source(source) if isinstance(source, str | Path | list | tuple) else "The table"
    if detector.kind == "tabular":
        if labelled and labels is None:
            raise no_labels(where)
        if classes:
            raise ConfigError(
                "--good and --defect name folders of images; this is a model of tables. Name its "
                "labels with --labels."
            )
        rows = read_table(source, as_text=columns_as_text(detector))
        frame = with_past(detector.entities_, rows, state)
        columns = _Columns(labels, groups, amounts, by, detector.schema_.id_column)
        return _score_rows(detector, frame, columns, where, tell)
    if labels or groups or amounts:
        raise ConfigError(
            "Images are labelled by their folders (good, scratch, ...) or by the columns kind "
            "or is_anomaly of a manifest, not by --labels, --groups or --stake. Leave it out."
        )
    listing = scan_labelled(source, classes, follow_links=follow_links)
    chosen = (
        Selection(listing.items, listing.left_out) if whole else select(listing, "test", source)
    )
    if labelled and all(item.is_anomaly is None for item in chosen.items):
        raise no_labels(where)
    return _score_images(detector, chosen, by, where, reading, tell)


def no_labels(source: str) -> DataError:
    """Return what to say of an input that nothing can be measured against."""
    return DataError(
        f"{source or 'The input'} has no labels to measure against. For a table give --labels "
        "COLUMN. Images are labelled by their folders: sort them into good, scratch, ... and give "
        "the folder above these, say which are which with --good FOLDER and --defect FOLDER, or "
        "list them in a manifest."
    )


def _score_rows(
    detector: TableDetector, frame: pd.DataFrame, columns: _Columns, source: str, tell: Progress
) -> ScoredItems:
    schema, name = detector.schema_, columns.id_column
    schema.check(frame)
    numbers = np.array([f"row {i + 1}" for i in range(len(frame))], dtype=object)
    ids = read_keys(frame[name]) if name in frame.columns else None
    items, marks = _described(frame, numbers if ids is None else ids, ids, columns, source)
    generated = synthetic_rows(frame, [column.name for column in schema.features])
    faults = row_faults(detector, frame)
    bad = np.array([fault is not None for fault in faults], dtype=np.bool_) & ~generated
    unlabelled = ~bad & ~generated & ~np.isfinite(marks)
    keep = np.flatnonzero(~(bad | generated | unlabelled))
    _require_some(keep, len(frame), source)
    scores, raw = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    for start in range(0, len(keep), BLOCK_ROWS):
        places = keep[start : start + BLOCK_ROWS]
        verdicts = judge_rows(detector, frame.iloc[places], [None] * len(places)).verdicts
        scores[places], raw[places] = verdicts.score, verdicts.raw_score
        for place, fault in zip(places, verdicts.faults, strict=True):
            faults[place] = fault
        tell("score rows", min(start + BLOCK_ROWS, len(keep)), len(keep))
    candidates = np.flatnonzero(~generated & ~unlabelled)
    left_out = _left_out(items.ids[candidates], [faults[place] for place in candidates]) | _counts(
        synthetic=int(generated.sum()), **{"without a label": int(unlabelled.sum())}
    )
    judged = replace(items, scores=scores, raw_scores=raw, left_out=left_out)
    return judged.take(np.isfinite(scores))


def _stakes(column: pd.Series) -> Floats:
    """Read amounts as the column writes them, NaN where there is none.

    A `DataError` names a number that can be read in two ways.
    """
    said = Column(name=str(column.name), kind=ColumnKind.NUMERIC)
    amounts, codes = read_numbers(column, infer_column(said.name, column, said).numbers)
    unread = column[codes == "not_a_number"]
    unclear = next((str(cell) for cell in unread if take_apart(str(cell)) is not None), None)
    if unclear is not None:
        raise DataError(
            f"The stake {unclear!r} in column {column.name!r} can be read in more than one way. "
            "Write stakes as plain numbers, such as 1234.5."
        )
    return amounts


def _described(
    frame: pd.DataFrame, ids: Objects, keys: Objects | None, columns: _Columns, source: str
) -> tuple[ScoredItems, Floats]:
    """Return rows as items that have no scores yet, and their labels: NaN where one is missing.

    ``keys`` are what a file of labels may name the rows by.
    """
    found = MatchedLabels(np.zeros(len(frame)), None)
    if columns.labels is not None:
        found = match_labels(columns.labels, frame, keys, columns.id_column)
    marks = found.labels
    groups, amounts = columns.groups, columns.amounts
    items = ScoredItems(
        ids=np.asarray(ids, dtype=object),
        scores=np.full(len(frame), np.nan),
        labels=None if columns.labels is None else marks == 1.0,
        kinds=found.kinds,
        unused_labels=found.unused,
        groups=None if groups is None else read_text(column_of(frame, groups, "--groups")),
        amounts=None if amounts is None else _stakes(column_of(frame, amounts, "--stake")),
        by={name: read_text(column_of(frame, name, "--by")) for name in columns.by},
        source=source,
    )
    return items, marks


def _score_images(
    detector: ImageDetector,
    chosen: Selection,
    by: Sequence[str],
    source: str,
    reading: ImageReading | None,
    tell: Progress,
) -> ScoredItems:
    listed, where = list(chosen.items), detector.condition
    require_told_conditions(detector, [where and condition_of(item, where) for item in listed])
    known = [item for item in listed if item.is_anomaly is not None]
    n_unlabelled = len(listed) - len(known) if known else 0
    listed = known or listed  # where some are labelled the others are left out
    seen, maps, faults = _examined(detector, listed, reading, tell)
    good = [item for item, fault in zip(listed, faults, strict=True) if fault is None]
    _require_some(good, len(listed), source, next(filter(None, faults), None))
    groups = _groups(good)
    limits = None if reading is None else reading.limits(tiled=True)
    kinds = [item.kind or ("anomaly" if item.is_anomaly else "good") for item in good]
    return ScoredItems(
        ids=np.array([item.id for item in good], dtype=object),
        scores=seen[:, 0],
        raw_scores=seen[:, 1],
        hottest=seen[:, 2],
        labels=np.array([bool(item.is_anomaly) for item in good]) if known else None,
        kinds=np.array(kinds, dtype=object) if known else None,
        groups=groups,
        by={name: _image_column(good, name) for name in by},
        left_out=_left_out([item.id for item in listed], faults)
        | _counts(**{"without a label": n_unlabelled})
        | {reason: n for reason, n in chosen.reasons().items() if reason != MASKS},
        outlines=outlines_of(good, maps, groups, limits) if known else None,
        source=source,
    )


def _examined(
    detector: ImageDetector,
    listed: list[ImageItem],
    reading: ImageReading | None,
    tell: Progress,
) -> tuple[Floats, list[HeatOnGrid], list[Fault | None]]:
    """Return what is said of the images that can be scored, and the faults of all.

    That is anomaly score, raw score and greatest heat, (N, 3); and the maps.
    """
    seen: list[tuple[float, float, float]] = []
    maps: list[HeatOnGrid] = []
    faults: list[Fault | None] = []
    for start in range(0, len(listed), BLOCK_IMAGES):
        block = listed[start : start + BLOCK_IMAGES]
        judged = judge_images(detector, block, reading=reading)
        faults += judged.verdicts.faults
        verdicts = judged.verdicts
        for place, (fault, heat) in enumerate(zip(verdicts.faults, judged.heatmaps, strict=True)):
            if fault is None and heat is not None:
                maps.append(HeatOnGrid.of(heat))
                raw = verdicts.raw_score[place]
                seen.append((float(verdicts.score[place]), float(raw), float(heat.max())))
        tell("score images", start + len(block), len(listed))
    return np.array(seen).reshape(-1, 3), maps, faults


def _groups(items: list[ImageItem]) -> Objects | None:
    if all(item.group is None for item in items):
        return None
    return np.array([item.group or item.id for item in items], dtype=object)


def _image_column(items: list[ImageItem], name: str) -> Objects:
    """Return a column of the manifest, or the group, of each image."""
    known = {"group", *items[0].columns} if items[0].columns else {"group"}
    if name not in known:
        raise ConfigError(
            f"The images have no column {name!r} for --by; known: {', '.join(sorted(known))}. "
            "Name a column of their manifest."
        )
    values = [item.columns.get(name) or (item.group if name == "group" else None) for item in items]
    return np.array(values, dtype=object)


def _require_some(usable: Sized, n_items: int, source: str, first: Fault | None = None) -> None:
    """Refuse an input of which nothing is left; where all have a fault, the ``first`` says why."""
    if not len(usable) and first is not None:
        raise DataError(
            f"None of {number_of(n_items, 'image')} of {source} can be read. {first.message}"
        )
    if not len(usable):
        raise DataError(
            f"Of {number_of(n_items, 'item')} of {source} none can be used: each is unreadable, "
            "synthetic or without a label. Check the input with: vae-anomaly data check"
        )


def _left_out(ids: Iterable[object], faults: Iterable[Fault | None]) -> dict[str, int]:
    """Count what could not be scored, by reason, and warn of the first ones by name."""
    named = [(name, fault) for name, fault in zip(ids, faults, strict=True) if fault is not None]
    for name, fault in named[:_MOST_NAMED]:
        logger.warning("left out: %s: %s", name, fault)
    if len(named) > _MOST_NAMED:
        logger.warning("left out: %d more", len(named) - _MOST_NAMED)
    nonfinite = sum(fault.code == NONFINITE for _, fault in named)
    return _counts(unreadable=len(named) - nonfinite, **{"without a finite score": nonfinite})


def _counts(**counts: int) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if count}


# ------------------------------------------------------------------ scores from a file


def read_scores(
    source: str | Path,
    *,
    labels: str | None = None,
    groups: str | None = None,
    amounts: str | None = None,
    id_column: str | None = None,
    allow_failed: bool = False,
) -> tuple[ScoredItems, tuple[str, ...]]:
    """Read anomaly scores with what is known of their items.

    Parameters
    ----------
    source : path
        The output folder of ``vae-anomaly score``, or a CSV or parquet file with the column
        ``score`` or ``anomaly_score``.
    labels : str, optional
        ``COLUMN`` of the file, or ``FILE:COLUMN`` joined by ``id``.
    groups, amounts : str, optional
        Columns of the file.
    id_column : str, optional
        What the column of ids is called in the file of labels, if not ``id``.
    allow_failed : bool
        Read also an output folder whose last run could not score a part of its input.

    Returns
    -------
    items : ScoredItems
        Without rows whose column ``synthetic`` is true.
    versions : tuple of str
        Models that made the scores, as far as the file says.

    Raises
    ------
    DataError
        If there is no column of scores, or a score is missing or no number.
    """
    frame = _read(Path(on_disk(source)), allow_failed=allow_failed)
    name = next((n for n in SCORE_NAMES if n in frame.columns), None)
    if name is None:
        raise DataError(
            f"{source} has no column {' or '.join(SCORE_NAMES)}; it has "
            f"{names_of(frame.columns, 20)}. Give the --out folder of `vae-anomaly score`, or the "
            "table itself with --input."
        )
    frame, generated = _real(frame)
    keys = read_keys(frame["id"]) if "id" in frame.columns else None
    ids = read_text(frame.index.to_series()) if keys is None else keys
    columns = _Columns(labels, groups, amounts, id_column=id_column)
    items, marks = _described(frame, ids, keys, columns, str(source))
    n_unlabelled = int(np.sum(~np.isfinite(marks)))
    items = replace(
        items,
        scores=_finite(frame[name], str(source)),
        flagged=_flags(frame),
        left_out=_counts(synthetic=generated, **{"without a label": n_unlabelled}),
    )
    items = _with_learned(items, frame, Path(on_disk(source)))
    versions = frame["model_version"].unique() if "model_version" in frame.columns else ()
    return items.take(np.isfinite(marks)), tuple(sorted(str(v) for v in versions))


def _read(source: Path, *, allow_failed: bool) -> pd.DataFrame:
    from vae_anomaly.batch import read_results

    if (source / "manifest.json").is_file():
        return read_results(source, allow_failed=allow_failed)
    return read_table(source, as_text=("id",))


def _real(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Leave out generated rows, and count them."""
    generated = synthetic_rows(frame)
    if not generated.any():
        return frame, 0
    return frame[~generated].reset_index(drop=True), int(generated.sum())


def _flags(frame: pd.DataFrame) -> Bools | None:
    if "is_anomaly" not in frame.columns:
        return None
    values, _ = read_booleans(frame["is_anomaly"])
    return values == 1 if np.isfinite(values).all() else None


def _with_learned(items: ScoredItems, frame: pd.DataFrame, source: Path) -> ScoredItems:
    """Add what verdicts had taught of each item, where the run learned."""
    if not {P_COMBINED, PROBABILITY} <= set(frame.columns):
        return items
    p_combined = _shares(frame[P_COMBINED], str(source))
    probability = frame[PROBABILITY]
    known = probability.notna().to_numpy()
    surprise = np.full(len(frame), np.nan)
    surprise[known] = surprise_of(_shares(probability[known], str(source)))
    kept = source / LEARN_FILE
    if known.any() and kept.is_file():  # it has the digits that a probability near 1 lacks
        exact = read_kept_items(kept)
        of = dict(zip(map(str, exact.items.ids), exact.surprise.tolist(), strict=True))
        for place in np.flatnonzero(known & (surprise > _FEW_DIGITS)).tolist():
            surprise[place] = of.get(str(items.ids[place]), surprise[place])
    return replace(items, p_combined=p_combined, surprise=surprise)


def _shares(column: pd.Series, source: str) -> Floats:
    """Read p-values or probabilities; p-values are never 0."""
    values = _finite(column, source)
    least = np.nextafter(0.0, 1.0) if column.name == P_COMBINED else 0.0
    bad = np.flatnonzero((values < least) | (values > 1.0))
    if bad.size:
        raise DataError(
            f"{column.name} of {source} is {values[bad[0]]:g} in row {bad[0] + 1}, which is no "
            "share. Score these items again."
        )
    return values


def _finite(column: pd.Series, source: str) -> Floats:
    values, _ = read_numbers(column)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise DataError(
            f"{bad.size} of {number_of(values.size, 'score')} in {source} {verb_for(bad.size)} "
            f"missing or no finite numbers; the first is {column.iloc[bad[0]]!r} in row "
            f"{bad[0] + 1}. Score these items again."
        )
    return values
