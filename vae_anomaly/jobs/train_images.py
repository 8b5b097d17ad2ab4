"""Train on images of good parts."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from vae_anomaly.arrays import Bools, Objects
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.data.images.folders import (
    ClassNames,
    ImageItem,
    read_listing,
    scan_labelled,
    select,
)
from vae_anomaly.data.tables.cells import read_text
from vae_anomaly.detectors import ImageVAEDetector
from vae_anomaly.detectors.images.fit.training_set import group_names
from vae_anomaly.detectors.images.image_list import ImageList, open_images
from vae_anomaly.detectors.images.settings import check_conditions_wanted
from vae_anomaly.errors import DataError, SchemaError
from vae_anomaly.jobs.baselines import keep_image_baseline
from vae_anomaly.jobs.confirmed import ConfirmedAnomalies, keep_confirmed, without_confirmed
from vae_anomaly.jobs.report.training_card import keep_image_card
from vae_anomaly.jobs.said_once import collapse_said_once, left_out_is_reported
from vae_anomaly.jobs.taken_images import all_taken_for_good, called_defective, what_was_taken
from vae_anomaly.jobs.training_report import (
    OUTLIER_SHEET,
    Destination,
    Reading,
    TrainingReport,
    finish,
)
from vae_anomaly.names import alike, shown_source, spelled
from vae_anomaly.progress import Progress
from vae_anomaly.reports.outliers import MOST_SHOWN, outlier_sheet_figure
from vae_anomaly.words import names_of, number_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW_IMAGES = 100


def train_images_job(
    detector: ImageVAEDetector,
    source: str | Path | Sequence[str | Path],
    destination: Destination,
    *,
    groups: str | Path | None = None,
    classes: ClassNames | None = None,
    follow_links: bool = False,
    reading: ImageReading | None = None,
    leave_out: ConfirmedAnomalies | None = None,
    hold_back: Callable[[Sequence[ImageItem], Objects | None], Bools] | None = None,
    progress: Progress | None = None,
) -> TrainingReport:
    """Train a detector on images of good parts, save and register it.

    Parameters
    ----------
    detector : ImageVAEDetector
        With its parameters, not fitted; it is fitted here.
    source : folder, manifest, image, pattern, or list of these
        Of a data set with parts only ``train`` is used; what is called defective is left out, and
        what else is, is counted in the report.
    groups : path, optional
        Table with the columns ``path`` and ``group``: images of one group (part, lot, camera)
        are held out together. A path is written as the image's id, or from the table's folder.
    classes : ClassNames, optional
        Which folders are good or defective, where their names do not tell it.
    follow_links : bool
        Follow links that lead out of a folder.
    reading : ImageReading, optional
        How large files may be.
    leave_out : ConfirmedAnomalies, optional
        Images that reviewers confirmed as anomalies: left out by their ids, counted and named.
    hold_back : callable, optional
        Told the good images and their groups, says which of them are trained on, (N,) bool.

    Raises
    ------
    DataError
        If there is no image of a good part, one cannot be read, or one has no group; if folders
        look like classes and nothing says which is good.
    NotEnoughDataError
        If there are fewer than 8 images.
    ConfigError
        If a parameter or the destination cannot be used.
    RegistryUnavailableError
        If the store does not answer.
    """
    started = time.perf_counter()
    destination.check()
    check_conditions_wanted(detector.model, detector.condition, None)
    products = detector.condition == "folder"
    listing = scan_labelled(source, classes, follow_links=follow_links, products=products)
    chosen = select(listing, "train", source)
    good, out = list(chosen.items), None
    if leave_out is not None:
        good, out = without_confirmed(good, leave_out, listing.items)
    members = None if groups is None else groups_of(good, Path(groups))
    destination.check_store()
    if hold_back is not None:
        keep = hold_back(good, members)
        good = [item for item, kept in zip(good, keep, strict=True) if kept]
        members = None if members is None else members[keep]
    images = open_images(good, training=True, condition=detector.condition, reading=reading)
    with collapse_said_once(), left_out_is_reported():
        detector.fit(images, groups=members, progress=progress)
    keep_image_baseline(detector, images)
    keep_confirmed(detector, out)
    report = Reading(
        source=f"{number_of(len(listing.items), 'image')} from {shown_source(source)}",
        n_read=len(listing.items),
        n_left_out=sum(bool(item.is_anomaly) for item in listing.items),
        n_confirmed=len(out.ids) if out else 0,
        n_confirmed_elsewhere=out.n_elsewhere if out else 0,
        left_out=chosen.left_out,
        warnings=(*called_defective(chosen, source), *(out.warnings() if out else ())),
        notes=(
            *what_was_taken(chosen),
            *(out.notes() if out else ()),
            *all_taken_for_good(chosen, detector.condition),
            *_notes(good, members),
            *_stored(detector),
            *_seen_through(detector),
            *_products(detector.conditions_),
            *_tiles(detector),
        ),
    )
    if destination.report:
        keep_image_card(
            detector, images, report, None if members is None else group_names(members, images)
        )
    return finish(detector, report, destination, started, figures=_outliers(detector, images))


def groups_of(items: Sequence[ImageItem], file: Path) -> Objects:
    """Look up the group of every image, in their order."""
    table = read_listing(file, ("path", "group"))
    absent = [name for name in ("path", "group") if name not in table.columns]
    if absent:
        raise SchemaError(
            f"{file} has no column {absent[0]!r}, only {', '.join(map(str, table.columns[:9]))}. "
            "Write a table with the columns path and group."
        )
    known = _Groups(table["path"].astype(str), read_text(table["group"]))
    groups = [_group_of(item, known, file.parent) for item in items]
    lost = [item.id for item, group in zip(items, groups, strict=True) if group is None]
    if lost:
        raise DataError(
            f"{file} names no group for {len(lost)} of {number_of(len(items), 'image')}, the first "
            f"is {lost[0]!r}. Add a line for each image, its path written like that."
        )
    return np.array(groups, dtype=object)


class _Groups:
    """Groups by the paths of a table: as they are written, else as the systems write them.

    Backslashes, upper and lower case, and accents in one piece or apart make no difference, as long
    as all rows that are alike so have one group.
    """

    def __init__(self, paths: Iterable[str], groups: Iterable[str | None]) -> None:
        self._exact: dict[str, str | None] = {}
        self._alike: dict[str, set[str | None]] = defaultdict(set)
        for path, group in zip(paths, groups, strict=True):
            self._exact[_plain(path)] = group
            self._alike[_as_any_system(path)].add(group)

    def find(self, names: Sequence[str]) -> str | None:
        """Return the group of the first of the names that has one."""
        for name in names:
            if name in self._exact:
                return self._exact[name]
        near = next((found for n in names if (found := self._alike.get(_as_any_system(n)))), set())
        return next(iter(near)) if len(near) == 1 else None


def _group_of(item: ImageItem, known: _Groups, folder: Path) -> str | None:
    """Find an image by its id, by its path from the table's folder, or by its path as it is."""
    path = item.path.absolute()
    names = [item.id, spelled(_plain(str(item.path))), spelled(path.as_posix())]
    if path.is_relative_to(folder.absolute()):
        names.append(spelled(path.relative_to(folder.absolute()).as_posix()))
    return known.find(names)


def _plain(path: str) -> str:
    return PurePosixPath(path).as_posix()


def _as_any_system(path: str) -> str:
    return alike(_plain(path.strip().replace("\\", "/")))


def _outliers(detector: ImageVAEDetector, images: ImageList) -> dict[str, Figure]:
    """Draw the images that training left out, if any."""
    if not detector.left_out_:
        return {}
    place = {name: i for i, name in enumerate(images.ids)}
    lit = replace(images, placing=detector.model_.placing)
    pixels = [lit.pixels(place[item.id]) for item in detector.left_out_[:MOST_SHOWN]]
    return {OUTLIER_SHEET: outlier_sheet_figure(pixels, detector.left_out_)}


def _notes(items: Sequence[ImageItem], members: Objects | None) -> tuple[str, ...]:
    """Say what limits this training."""
    notes = []
    if len(items) < FEW_IMAGES:
        notes.append(
            f"{number_of(len(items), 'image')} are few: the threshold rests on them. {FEW_IMAGES} "
            "and more give useful thresholds"
        )
    if members is not None:
        notes.append(f"{number_of(len(set(members)), 'group')}, each held out as a whole")
    elif not any(item.group for item in items):
        notes.append(
            "no groups: when several images show one part, name the parts with --groups, "
            "or p-values come out too small"
        )
    return tuple(notes)


def _products(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    return (f"{number_of(len(names), 'condition')}: {names_of(names)}",)


def _stored(detector: ImageVAEDetector) -> tuple[str, ...]:
    """Say which channels and which white were taken, and why."""
    measured, notes = detector.metrics_, []
    share, told = measured["colour_share"], detector.channels is not None
    if detector.channels_ == 3:
        why = "as told" if told else f"{share:.0%} of the images looked at show some"
        notes.append(f"colour is seen (3 channels): {why}")
    elif measured["colour_files"]:
        why = "as told" if told else "red, green and blue are the same in these files"
        notes.append(f"colour is not seen (1 channel): {why}; --channels 3 sees it")
    else:
        notes.append("the files are grey (1 channel)")
    if "white" in measured:
        how = "as told" if detector.white is not None else "by their brightest pixels"
        n = int(measured["images_above_white"])
        have = "has" if n == 1 else "have"
        above = f"; {number_of(n, 'image')} {have} brighter pixels, which count as white" * bool(n)
        notes.append(
            f"white is {detector.white_} in images of 16 bits, {how} (--white says otherwise)"
            f"{above}"
        )
    if "brightest" in measured:
        notes.append(
            f"no pixel of the images looked at is brighter than {measured['brightest']:.0%} of "
            "white: more light shows more, and of colour files with 16 bits a channel only the "
            "upper 8 are read: spread those of fewer bits over all 16"
        )
    return tuple(notes)


def _seen_through(detector: ImageVAEDetector) -> tuple[str, ...]:
    """Say which backbone was taken, or why none; nothing of the filters that nobody asked about."""
    if detector.features is None:
        return ()
    spec = detector.network_.spec.backbone
    apart = spec is not None and spec.name.startswith("onnx:") and detector.device != "cpu"
    where = "; onnxruntime computes it on the processor" * apart
    return (f"images are seen through {detector.features_}{where}",)


def _tiles(detector: ImageVAEDetector) -> tuple[str, ...]:
    """Say how large images were cut and compared."""
    if detector.tile_size is None:
        return ()
    measured = detector.metrics_
    compared = (
        "the same thing lies at the same place of every image, so each place is compared with "
        "itself"
        if measured["aligned"]
        else "places are not told apart"
    )
    return (
        f"{number_of(measured['tiles_per_image'], 'tile')} of {detector.tile_size} pixels an "
        f"image, {measured['tiles_trained_on']:,.0f} trained on; {compared}",
    )
