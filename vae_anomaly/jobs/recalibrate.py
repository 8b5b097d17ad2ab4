"""Make the calibration of a model anew on other normals: in seconds, without training."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vae_anomaly.arrays import Floats, Ints, Objects
from vae_anomaly.batch.histories import with_past
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.data.images.folders import ClassNames, scan_labelled
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.read import fingerprint, read_table
from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.detectors.images.image_list import open_images
from vae_anomaly.detectors.judged import columns_as_text
from vae_anomaly.detectors.known_items import known_images, known_rows
from vae_anomaly.detectors.recalibration import Recalibration
from vae_anomaly.errors import CalibrationError, ConfigError, DataError
from vae_anomaly.evaluation.items import score_items
from vae_anomaly.jobs.baselines import keep_image_baseline, keep_table_baseline
from vae_anomaly.metrics import Interval, is_flagged
from vae_anomaly.metrics.intervals import grouped_interval, proportion_interval
from vae_anomaly.names import shown_source, typed
from vae_anomaly.persistence import ALL_FILES, holds_something_else
from vae_anomaly.progress import Progress
from vae_anomaly.scoring.outliers import HEAVY, standing_out
from vae_anomaly.storage.addresses import is_remote
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.storage.models import refuse_other_folder, save_model
from vae_anomaly.thresholds import Threshold, smallest_fpr
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.tracking.apply import Applied, apply_recalibration
from vae_anomaly.tracking.events import this_user
from vae_anomaly.tracking.verified import ResolvedModel, load
from vae_anomaly.words import names_of, number_of, verb_for

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.detectors.protocol import AnyDetector

_LOOKED_AT: Final = 256  # rows, and
_IMAGES: Final = 32  # images that are compared with those of the training
_SEEN_SHARE: Final = 0.1  # rows repeat by nature; fewer say nothing
_NAMED: Final = 5
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecalibrationReport:
    """What came of a calibration that was made anew.

    Parameters
    ----------
    applied : Applied
        Where the model is now; nowhere new with ``dry_run``.
    folder : Path or str, optional
        Model folder that was written, or its address in an object store.
    flagged_before : Interval
        Share of the normals that the threshold before flags, with its 95 % interval.
    left_out : dict of str to int
        Items of the input that were not used, by reason.
    warnings : tuple of str
        What makes the result doubtful.
    """

    applied: Applied
    folder: Path | str | None
    record: Recalibration
    flagged_before: Interval
    threshold: Threshold
    left_out: dict[str, int]
    warnings: tuple[str, ...]
    lost_probability: bool


def recalibrate_job(
    ref: str,
    source: str | Sequence[str],
    *,
    target_fpr: float | None = None,
    labels: str | None = None,
    groups: str | None = None,
    state: str | None = None,
    classes: ClassNames | None = None,
    follow_links: bool = False,
    reading: ImageReading | None = None,
    out: str | Path | None = None,
    alias: str | None = None,
    who: str | None = None,
    reason: str = "",
    dry_run: bool = False,
    uri: str | None = None,
    progress: Progress | None = None,
) -> RecalibrationReport:
    """Score normals that are new to a model, and calibrate it on them; networks stay.

    Parameters
    ----------
    ref : str
        The model. A registered one gets a new version; a folder stays as it is.
    source : path, pattern or list
        Normals as they come from now on. Items labelled as anomalies are left out.
    target_fpr : float, optional
        Default: that of the threshold in force, or of the training where it has none.
    labels, groups, state, classes, follow_links, reading
        As for `score_items`.
    out : path, optional
        Model folder to write; needed for a model that is a folder.
    alias : str, optional
        Alias to move to the new version. By default none moves.
    who, reason : str, optional
        For the record.
    dry_run : bool
        Write nothing.
    uri : str, optional
        The MLflow store.

    Raises
    ------
    CalibrationError
        If there are too few normals for the rate; the message names the lowest that they support.
    DataError
        If nothing normal can be scored.
    ConfigError
        If a model folder comes without ``out``, or ``out`` holds something else.
    """
    detector, model = load(ref, uri)
    _check_places(model, out, alias)
    frame = _frame(detector, source)
    rows = _with_features(detector, frame, state)
    with _features_known(detector):
        items = score_items(
            detector, source if rows is None else rows, labels=labels, groups=groups,  # type: ignore[arg-type]
            state=None if detector.kind == "tabular" else state, classes=classes,
            follow_links=follow_links, reading=reading, progress=progress,
        )  # fmt: skip
    where = shown_source(source)
    normal, left_out = _normals(items, where)
    target, other_policy = _target(detector, target_fpr)
    _require_enough(len(normal), target)
    flags = is_flagged(normal.scores, detector.threshold_.value)
    sha256 = _digest(frame, source, classes, normal, follow_links=follow_links)
    listed = (source, classes, follow_links)
    seen = _seen(detector, rows, listed, sha256, reading)
    warnings = (*seen, *_odd(normal), *other_policy)
    for warning in warnings:
        logger.warning(warning)
    record = Recalibration(
        of=model.label,
        source=f"{number_of(len(normal), 'normal')} of {where}",
        n_items=len(normal),
        n_groups=0 if normal.groups is None else len(set(normal.groups)),
        sha256=sha256,
        target_fpr=target,
        flagged_before=float(flags.mean()),
        old_threshold=detector.threshold_.value,
        who=who or this_user(),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=reason,
    )
    lost = detector.probability_ is not None
    _calibrate(detector, normal, record)
    if detector.baseline_ is not None:
        _describe_anew(detector, normal, rows, listed, reading)
    folder = None if out is None or dry_run else save_model(detector.save, out, ALL_FILES)
    applied = Applied(model=ref if folder is None else str(folder))
    if model.name is not None and not dry_run:
        applied = apply_recalibration(detector, model, record, alias=alias, uri=uri)
    before = _share(flags, normal.groups)
    return RecalibrationReport(
        applied, folder, record, before, detector.threshold_, left_out, warnings, lost
    )


def _check_places(model: ResolvedModel, out: str | Path | None, alias: str | None) -> None:
    """Refuse a place that cannot take the result, before anything is scored."""
    if model.name is None and out is None:
        raise ConfigError(
            f"{model.ref} is a model folder, and stays as it is. Name a folder for the model that "
            "is calibrated anew: --out DIR."
        )
    if model.name is None and alias is not None:
        raise ConfigError(f"{model.ref} is a model folder and has no aliases. Leave out --alias.")
    if out is not None and is_remote(out):
        refuse_other_folder(str(out), ALL_FILES)
    elif out is not None and holds_something_else(Path(on_disk(out))):
        raise ConfigError(
            f"{out} holds something else than a model, and is not written over. Choose another "
            "--out."
        )


def _frame(detector: AnyDetector, source: str | Sequence[str]) -> pd.DataFrame | None:
    if detector.kind == "image":
        return None
    return read_table(source, as_text=columns_as_text(detector))


def _with_features(
    detector: AnyDetector, frame: pd.DataFrame | None, state: str | None
) -> pd.DataFrame | None:
    """Return rows with the features of their entities' past."""
    if frame is None or detector.kind == "image":
        return None
    return with_past(detector.entities_, frame, state)


@contextmanager
def _features_known(detector: AnyDetector) -> Iterator[None]:
    """Let a detector take rows as they are: they have the features of their entities' past."""
    if detector.kind == "image":
        yield
        return
    entities, detector.entities_ = detector.entities_, None
    try:
        yield
    finally:
        detector.entities_ = entities


def _normals(items: ScoredItems, where: str) -> tuple[ScoredItems, dict[str, int]]:
    """Return the items that are no anomalies, and what was left out."""
    if items.labels is None:
        return items, items.left_out
    normal = items.take(~items.labels)
    n_odd = int(items.labels.sum())
    if not len(normal):
        raise DataError(
            f"All {number_of(n_odd, 'item')} of {where} are labelled as anomalies, and a "
            "calibration needs normals. Name those, or correct the labels."
        )
    return normal, items.left_out | ({"labelled as anomalies": n_odd} if n_odd else {})


def _require_enough(n: int, target: float) -> None:
    least = smallest_fpr(n)
    if target < least:
        reached = typed("--target-fpr", f"{_rounded_up(least):g}")
        raise CalibrationError(
            f"A false-positive rate of {target:g} needs at least {ceil(1 / target - 1e-9) - 1:,} "
            f"normals; got {n:,}, which support {least:.3g} and higher. Give more normals, or "
            f"{reached}."
        )


def _rounded_up(rate: float) -> float:
    """Return a rate of two digits that is not lower."""
    unit = float(10.0 ** (np.floor(np.log10(rate)) - 1))
    return float(np.ceil(rate / unit - 1e-9) * unit)


def _target(detector: AnyDetector, asked: float | None) -> tuple[float, tuple[str, ...]]:
    """Return the rate that the threshold is chosen for, and a warning where it was another kind."""
    current, rate = detector.threshold_, detector.target_fpr
    if asked is not None or not current.model_version:  # it is that of the training
        return rate if asked is None else asked, ()
    if current.policy == "fpr":
        return float(current.parameters["fpr"] or rate), ()
    return rate, (
        f"The threshold before was chosen by the policy {current.policy}; this one is for a "
        f"false-positive rate of {rate:g}. Choose it anew with `vae-anomaly threshold tune`.",
    )


def _describe_anew(
    detector: AnyDetector,
    normal: ScoredItems,
    rows: pd.DataFrame | None,
    listed: tuple[str | Sequence[str], ClassNames | None, bool],
    reading: ImageReading | None,
) -> None:
    """Let nights be compared with what these normals look like, no longer with the training."""
    used = set(normal.ids.tolist())
    if isinstance(detector, TabularVAEDetector) and rows is not None:
        name = detector.schema_.id_column
        ids = (
            read_keys(rows[name])
            if name in rows.columns
            else [f"row {i + 1}" for i in range(len(rows))]
        )
        keep_table_baseline(detector, rows[[one in used for one in ids]])
    if isinstance(detector, ImageVAEDetector):
        source, classes, follow_links = listed
        items = scan_labelled(source, classes, follow_links=follow_links).items
        chosen = [one for one in items if one.id in used]
        images = open_images(chosen, condition=detector.condition, reading=reading)
        keep_image_baseline(detector, images)


def _calibrate(detector: AnyDetector, normal: ScoredItems, record: Recalibration) -> None:
    assert normal.raw_scores is not None  # noqa: S101 - they were scored here
    detector.recalibrate(normal.raw_scores, _codes(normal.groups), record=record)
    if detector.kind == "image" and normal.hottest is not None:
        detector.set_heat_level(normal.hottest)


def _codes(groups: Objects | None) -> Ints | None:
    """Return a number for each item's group; an item without one is a group of its own."""
    if groups is None:
        return None
    names = [f"\0{i}" if name is None else str(name) for i, name in enumerate(groups.tolist())]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _share(flags: np.ndarray, groups: Objects | None) -> Interval:
    codes = _codes(groups)
    if codes is None:
        return proportion_interval(float(flags.sum()), float(len(flags)))
    return grouped_interval(flags.astype(float), np.ones(len(flags)), codes)


def _digest(
    frame: pd.DataFrame | None,
    source: str | Sequence[str],
    classes: ClassNames | None,
    normal: ScoredItems,
    *,
    follow_links: bool,
) -> str:
    """Return the SHA-256 of a table, or of the images that were used."""
    if frame is not None:
        return str(fingerprint(frame)["sha256"])
    used, digest = set(normal.ids.tolist()), hashlib.sha256()
    for item in scan_labelled(source, classes, follow_links=follow_links).items:
        if item.id in used:
            digest.update(item.id.encode() + b"\0" + item.path.read_bytes())
    return digest.hexdigest()


def _odd(normal: ScoredItems) -> tuple[str, ...]:
    """Warn of normals that stand apart from the others: they would own the threshold."""
    codes = _codes(normal.groups)
    odd = np.flatnonzero(standing_out(_raw(normal), codes, shape=HEAVY))
    if not odd.size:
        return ()
    names = names_of((str(name) for name in normal.ids[odd]), _NAMED)
    return (
        f"{number_of(odd.size, 'normal')} {verb_for(odd.size, 'stands', 'stand')} far apart from "
        f"all others: {names}. The threshold rests on such items; look at them, and take out what "
        "is no normal.",
    )


def _raw(items: ScoredItems) -> Floats:
    return items.scores if items.raw_scores is None else items.raw_scores


def _seen(
    detector: AnyDetector,
    frame: pd.DataFrame | None,
    listed: tuple[str | Sequence[str], ClassNames | None, bool],
    sha256: str,
    reading: ImageReading | None,
) -> tuple[str, ...]:
    """Warn of items that the model was trained on: it takes them for more usual than new ones."""
    why = "so new normals will be flagged more often than the rate says. Give normals of later days"
    made_of = {detector.fingerprint_.get("sha256")}
    if sha256 in made_of:
        return (f"This is the table that the model was trained on, {why}.",)
    if frame is not None and detector.kind == "tabular":
        some = frame.iloc[:: -(-len(frame) // _LOOKED_AT) or 1]
        share = float(np.mean(known_rows(detector, some)))
        if share >= _SEEN_SHARE:
            return (
                f"{share:.0%} of the rows looked at equal rows that the model remembers from its "
                f"training. Where rows do not repeat by nature they were in it, {why}.",
            )
        return ()
    if detector.kind == "tabular":
        return ()
    source, classes, follow_links = listed
    items = scan_labelled(source, classes, follow_links=follow_links).items
    shown = items[:: -(-len(items) // _IMAGES) or 1]
    known = known_images(detector, shown, reading)
    if known is None or not known.any():
        return ()
    return (f"{known.sum()} of {len(known)} images looked at were in the training, {why}.",)
