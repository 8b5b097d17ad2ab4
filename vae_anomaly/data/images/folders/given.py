"""What was named as input: a folder, a manifest, images, 'patterns*', or several of these."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vae_anomaly.data.images.folders.items import IMAGE_SUFFIXES, ImageItem, ImageListing
from vae_anomaly.data.images.folders.manifest import MANIFEST_SUFFIXES
from vae_anomaly.data.images.folders.mask_owners import MaskFiles
from vae_anomaly.data.images.folders.masks import masks_among
from vae_anomaly.errors import DataError
from vae_anomaly.files import in_home
from vae_anomaly.names import alike, spelled, unspelled
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.words import names_of, verb_for

_WORKBOOKS: Final = frozenset({".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"})
LIST: Final = "list"
"""What images that were named one by one are called together."""


@dataclass(frozen=True)
class Given:
    """One thing that was named.

    Parameters
    ----------
    path : Path
        A folder or a manifest; of images, the folder that all of them have in common.
    name : str
        What it is called beside the other things that were named.
    place : str
        What the folders within it are called after.
    images : tuple of Path
        Empty for a folder or a manifest.
    skipped : tuple of Path
        What a pattern matched besides.
    """

    path: Path
    name: str = ""
    place: str = ""
    images: tuple[Path, ...] = ()
    skipped: tuple[Path, ...] = ()

    @property
    def is_folder(self) -> bool:
        """Whether it stands for all images of a folder."""
        return not self.images and self.path.is_dir()


def given_of(source: str | Path | Sequence[str | Path]) -> list[Given]:
    """Return what a source names, each thing once.

    Raises
    ------
    DataError
        If a path does not exist, a pattern matches nothing, or nothing was named.
    """
    named = [on_disk(one) for one in ([source] if isinstance(source, str | Path) else source)]
    if not named:
        raise DataError("No images were given: the list is empty. Name at least one.")
    paths, absent = [], []
    for one in named:
        path = _checked(one)
        if path is not None:
            paths.append((path, False))
        elif glob.has_magic(str(one)):
            paths += [(match, True) for match in _matches(str(one))]
        else:
            absent.append(Path(one))
    _refuse_absent(absent, len(named))
    skipped = tuple(path for path, matched in paths if matched and not _is_input(path))
    taken = dict.fromkeys(path for path, matched in paths if not matched or _is_input(path))
    if not taken:
        raise DataError(
            f"No image matches {names_of(named)}, only other files such as "
            f"{skipped[0].name!r}. Check the pattern."
        )
    things = [Given(path) for path in taken if path.is_dir() or _is_manifest(path)]
    known = {thing.path for thing in things}
    images = [path for path in taken if path not in known]
    for path in images:
        _refuse_workbook(path)
    if not things:
        name = images[0].stem if isinstance(source, str | Path) and len(paths) == 1 else LIST
        return [Given(_common(images), name, spelled(name), tuple(images), skipped)]
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in images:
        by_folder[path.parent].append(path)
    things += [Given(folder, images=tuple(inside)) for folder, inside in by_folder.items()]
    return _named([replace(things[0], skipped=skipped), *things[1:]])


def listing_of_images(given: Given) -> ImageListing:
    """Describe images that were named one by one; ids are relative to their common folder."""
    folder = _absolute(given.path)
    images = {_absolute(path): path for path in _once(given.images)}
    masks = masks_among(folder, list(images))
    items = tuple(
        ImageItem(
            whole.relative_to(folder).as_posix(),
            path,
            mask=masks.of.get(whole),
            mask_fault=masks.unclear.get(whole),
        )
        for whole, path in images.items()
        if whole not in masks.files
    )
    return ImageListing(items, (), "list", masks)


def together(listings: Sequence[tuple[Given, ImageListing]]) -> ImageListing:
    """Join the listings of what was named; of several each id begins with the name of its own.

    A file that is in two of them is listed once, in the first.
    """
    if len(listings) == 1:
        given, listing = listings[0]
        items = [_placed(given, item) for item in listing.items]
        return replace(listing, items=tuple(items), skipped=(*given.skipped, *listing.skipped))
    seen: set[tuple[str, str]] = set()
    items = []
    for given, listing in listings:
        for item in listing.items:
            place = _whereabouts(item.path)
            if place not in seen:
                seen.add(place)
                told = _placed(given, item)
                items.append(replace(told, id=f"{given.name}/{told.id}"))
    skipped = tuple(path for one, listing in listings for path in (*one.skipped, *listing.skipped))
    left_out = tuple(
        replace(one, where=f"{given.name}/{one.where}".rstrip("/"))
        for given, listing in listings
        for one in listing.left_out
    )
    questions = tuple(
        replace(one, folder=given.name if one.folder == "." else f"{given.name}/{one.folder}")
        for given, listing in listings
        for one in listing.questions
    )
    masks = [listing.masks for _, listing in listings]
    of = {image: mask for one in masks for image, mask in one.of.items()}
    unclear = {image: why for one in masks for image, why in one.unclear.items()}
    files = frozenset().union(*(one.files for one in masks))
    return ImageListing(
        tuple(items), skipped, "list", MaskFiles(of, files, unclear), left_out, questions
    )


def _placed(given: Given, item: ImageItem) -> ImageItem:
    """Spell an item's id, and say in which folder of what was named it lies."""
    identifier = spelled(item.id)
    folder = identifier.rpartition("/")[0].strip("/")
    kind = None if item.kind is None else spelled(item.kind)
    place = f"{given.place}/{folder}" if folder else given.place
    return replace(item, id=identifier, kind=kind, place=place)


def _checked(source: str | Path) -> Path | None:
    """Return the path that was named if something is there, however its name was spelled."""
    text = str(source)
    if "\0" in text:
        raise DataError(f"The path {text!r} holds a NUL character. Check where it is from.")
    if not text:
        raise DataError("A path is empty. Name a folder, an image or a pattern; . is the one here.")
    candidates = (in_home(text), in_home(unspelled(text)))
    return next((path for path in candidates if os.path.lexists(path)), None)


def _refuse_absent(absent: Sequence[Path], n_named: int) -> None:
    if not absent:
        return
    if n_named == 1:
        raise DataError(f"{absent[0]} does not exist. Check the path.")
    raise DataError(
        f"{len(absent)} of {n_named} inputs {verb_for(len(absent), 'does', 'do')} not exist, the "
        f"first is {absent[0]}. Check the paths."
    )


def _matches(pattern: str) -> list[Path]:
    """Expand a pattern; what lies below a folder that it matches belongs to that folder."""
    found = sorted(glob.glob(str(in_home(pattern)), recursive=True))  # noqa: PTH207 - absolute patterns
    if not found:
        raise DataError(
            f"Nothing matches {pattern}. Check the pattern, and that the folder is mounted."
        )
    paths = [Path(name) for name in found]
    folders = {path for path in paths if path.is_dir()}
    return [path for path in paths if folders.isdisjoint(path.parents)]


def _is_input(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES


def _is_manifest(path: Path) -> bool:
    return path.suffix.lower() in MANIFEST_SUFFIXES and path.is_file()


def _refuse_workbook(path: Path) -> None:
    if path.suffix.lower() in _WORKBOOKS:
        raise DataError(
            f"{path} is a workbook. Save the sheet that lists the images as CSV "
            "(in Excel: Save as, CSV UTF-8) and name that file."
        )


def _named(things: list[Given]) -> list[Given]:
    """Call each thing by its last name; where two are called alike, by what tells them apart."""
    names = [_last_name(one) or "root" for one in things]
    if len({alike(name) for name in names}) < len(names):
        paths = [_absolute(one.path) for one in things]
        common = _common_folder([path.parent for path in paths])
        names = [path.relative_to(common).as_posix() for path in paths]
    return [
        replace(one, name=name, place=f"{LIST}/{name}" if one.images else name)
        for one, name in zip(things, map(spelled, names), strict=True)
    ]


def _last_name(given: Given) -> str:
    path = _absolute(given.path)
    return path.name if given.images or path.is_dir() else path.stem


def _once(paths: Sequence[Path]) -> Iterator[Path]:
    """Leave out what was named before."""
    seen: set[tuple[str, str]] = set()
    for path in paths:
        place = _whereabouts(path)
        if place not in seen:
            seen.add(place)
            yield path


def _whereabouts(path: Path) -> tuple[str, str]:
    """Return what tells one file from another; a link is a file of its own."""
    whole = _absolute(path)
    return os.path.realpath(whole.parent), whole.name


def _common(paths: Sequence[Path]) -> Path:
    return _common_folder([_absolute(path).parent for path in paths])


def _common_folder(folders: Sequence[Path]) -> Path:
    return Path(os.path.commonpath(folders))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links stay links
