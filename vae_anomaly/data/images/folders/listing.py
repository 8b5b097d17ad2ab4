"""List the images of a source: a folder, a manifest, an image, a pattern, or a list of these."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from vae_anomaly.data.images.folders.given import Given, given_of, listing_of_images, together
from vae_anomaly.data.images.folders.items import (
    IMAGE_SUFFIXES,
    ClassNames,
    ImageItem,
    ImageListing,
    LeftOutImages,
    refuse_repeated_ids,
)
from vae_anomaly.data.images.folders.labels import labelled
from vae_anomaly.data.images.folders.layouts import lay_out
from vae_anomaly.data.images.folders.manifest import list_manifest
from vae_anomaly.data.images.folders.mask_owners import MaskFiles
from vae_anomaly.data.images.folders.masks import masks_among
from vae_anomaly.data.images.folders.not_input import count_passed_by, without_results
from vae_anomaly.data.images.folders.selection import MASKS, Purpose, select, told
from vae_anomaly.data.images.folders.walk import walk
from vae_anomaly.errors import DataError
from vae_anomaly.names import shown_source, spelled
from vae_anomaly.words import names_of, number_of, verb_for

logger = logging.getLogger(__name__)

_LABEL_SUFFIXES: Final = frozenset({".csv", ".tsv", ".json", ".xml", ".parquet", ".xlsx"})


def list_images(
    source: str | Path | Sequence[str | Path],
    *,
    split: Purpose | None = None,
    classes: ClassNames | None = None,
    follow_links: bool = False,
    products: bool = False,
) -> list[ImageItem]:
    """List the images of a source, in an order that does not depend on the file system.

    Parameters
    ----------
    source : folder, manifest, image, pattern, or list of these
        Of several folders the id of an image begins with the name of its folder.
    split : {"train", "test"}, optional
        Only what is trained on, or what a detector is measured on, as `select` takes it. Default:
        every image, whatever its folders are called.
    classes : ClassNames, optional
        Folders or kinds of which the class is known, where their names do not tell it.
    follow_links : bool
        Follow links that lead out of the folder or the manifest's folder.
    products : bool
        With a split: folders name products, so that ``a b`` or ``0 1`` are no classes.

    Returns
    -------
    list of ImageItem
        Files that are no images by their name are left out and logged as a warning.

    Raises
    ------
    DataError
        If there is no image, something does not exist, a path leads out of the source, or, with a
        split, names leave open which images are good.
    ConfigError
        If a class is given for a folder that is not there.
    """
    if split is not None:
        listing = scan_labelled(source, classes, follow_links=follow_links, products=products)
        return list(select(listing, split, source).items)
    listing = scan_images(source, classes=classes, follow_links=follow_links)
    tell_skipped(listing)
    return list(listing.items)


def scan_labelled(
    source: str | Path | Sequence[str | Path],
    classes: ClassNames | None = None,
    *,
    follow_links: bool = False,
    products: bool = False,
) -> ImageListing:
    """List a source for training or measuring; masks and file names say what no folder does.

    Where folders name ``products``, it is not asked which of ``a b`` is good.
    """
    listing = scan_images(source, classes=classes, follow_links=follow_links)
    listing = labelled(listing)
    if products:
        asked = (one for one in listing.questions if one.kind == "several" or one.told)
        listing = replace(listing, questions=tuple(asked))
    tell_skipped(listing)
    if all(item.is_anomaly is None for item in listing.items):
        _tell_unread_labels(listing)
    return listing


def _tell_unread_labels(listing: ImageListing) -> None:
    """Log a warning of tables beside images of which nothing tells the class."""
    files = [path for path in listing.skipped if path.suffix.lower() in _LABEL_SUFFIXES]
    if files:
        logger.warning(
            "nothing was read of %s: if defects are marked there, give a manifest with the columns "
            "path and kind in place of the folder",
            names_of(spelled(path.name) for path in files),
        )


def tell_skipped(listing: ImageListing) -> None:
    """Log a warning of files that are no images by their name."""
    if listing.skipped:
        n, names = len(listing.skipped), names_of(spelled(path.name) for path in listing.skipped)
        no_images = f"{verb_for(n)} no {verb_for(n, 'image', 'images')}"
        logger.warning("%s %s by name: %s", number_of(n, "file"), no_images, names)
    masks = (path for path in listing.masks.files if "ground_truth" not in path.parts)
    said = sorted(spelled(path.name) for path in masks)
    if said:
        n = len(said)
        are = verb_for(n, "is a mask, no image", "are masks of images, no images")
        logger.warning("%s %s: %s", number_of(n, "file"), are, names_of(said))


def scan_images(
    source: str | Path | Sequence[str | Path],
    *,
    classes: ClassNames | None = None,
    out: str | Path | None = None,
    follow_links: bool = False,
) -> ImageListing:
    """List the images of a source together with what is no input; see `list_images`.

    ``out`` is where the command that asks writes: what it drew there is not even counted.
    """
    given = given_of(source)
    scanner = _Scanner(classes or ClassNames(), None if out is None else Path(out), follow_links)
    listing = together([(one, scanner.scan(one)) for one in given])
    if len(given) > 1:
        listing = scanner.read_jointly(given, listing)
    refuse_repeated_ids(listing.items, shown_source(source) if len(given) == 1 else "The list")
    scanner.classes.require_found(scanner.named, _without_name(given))
    return replace(listing, source=source)


def _without_name(given: Sequence[Given]) -> str:
    """Begin the message that no folder or kind is called so."""
    one = given[0]
    if len(given) > 1 or one.images:
        return f"A list of {'inputs' if len(given) > 1 else 'images'} has no folder called"
    return f"{one.path} has no {'folder called' if one.is_folder else 'kind'}"


@dataclass
class _Scanner:
    """Lists things that were named, and collects the folders and kinds in them."""

    classes: ClassNames
    out: Path | None
    follow_links: bool
    named: set[str] = field(default_factory=set)

    def scan(self, given: Given) -> ImageListing:
        """List one thing."""
        if given.images:
            return self._scan_images(given)
        if given.is_folder:
            return self._scan_folder(given.path)
        listing = list_manifest(given.path, self.classes, follow_links=self.follow_links)
        self.named |= {item.kind for item in listing.items if item.kind}
        return listing

    def read_jointly(self, given: Sequence[Given], listing: ImageListing) -> ImageListing:
        """Read several folders as siblings: ``parts/good parts/bad`` is what ``parts`` would be."""
        folders = tuple(f"{one.name}/" for one in given if one.is_folder or one.images)
        return self._read_folders([i for i in listing.items if i.id.startswith(folders)], listing)

    def _scan_images(self, given: Given) -> ImageListing:
        """List images that were named one by one; those of several folders as these say."""
        listing = listing_of_images(given)
        root = Path(os.path.abspath(given.path))  # noqa: PTH100 - links stay links
        listing = replace(listing, left_out=tuple(_count_masks(root, listing.masks)))
        if not listing.items:
            raise DataError(
                f"Only masks were named, no images: {'; '.join(told(listing.left_out))}. Name the "
                "images that they belong to."
            )
        several = len({PurePosixPath(item.id).parent for item in listing.items}) > 1
        return self._read_folders(listing.items, listing) if several else listing

    def _read_folders(self, inside: Sequence[ImageItem], listing: ImageListing) -> ImageListing:
        """Describe images of a listing by the folders in their ids."""
        top = Path()
        laid = lay_out(top, [top / item.id for item in inside], self.classes)
        self.named |= laid.folders
        read = {item.id: item for item in laid.items}
        items = tuple(
            replace(
                item,
                kind=read[item.id].kind,
                is_anomaly=read[item.id].is_anomaly,
                split=read[item.id].split,
                unsure=read[item.id].unsure,
            )
            if item.id in read
            else item
            for item in listing.items
        )
        return replace(listing, items=items, questions=laid.questions)

    def _scan_folder(self, root: Path) -> ImageListing:
        """List a folder by its layout."""
        passed: list[Path] = []
        folders: list[Path] = []
        below = list(walk(root, passed, follow_links=self.follow_links, folders=folders))
        files, ours = without_results(root, below, self.out)
        images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
        masks = masks_among(root, images)
        images = [file for file in images if file not in masks.files]
        skipped = tuple(file for file in files if file.suffix.lower() not in IMAGE_SUFFIXES)
        laid = lay_out(root, images, self.classes, folders[1:])
        self.named |= laid.folders
        left_out = (*_count_masks(root, masks), *ours, *count_passed_by(root, passed))
        if not laid.items:
            raise DataError(
                f"{'; '.join((f'{root} holds no images{_other_files(skipped)}', *told(left_out)))}."
                f" Put {', '.join(sorted(IMAGE_SUFFIXES))} files there, or name another folder."
            )
        items = sorted(laid.items, key=lambda item: item.id)
        marked = tuple(_marked(item, masks) for item in items)
        return ImageListing(marked, skipped, laid.layout, masks, left_out, laid.questions)


def _marked(item: ImageItem, masks: MaskFiles) -> ImageItem:
    """Give an image its mask, or the reason why it has none."""
    return replace(item, mask=masks.of.get(item.path), mask_fault=masks.unclear.get(item.path))


def _count_masks(root: Path, masks: MaskFiles) -> list[LeftOutImages]:
    """Count masks by the folder that they lie in."""
    folders = Counter(file.parent.relative_to(root).as_posix() for file in masks.files)
    return [
        LeftOutImages(MASKS, "" if name == "." else name, n) for name, n in sorted(folders.items())
    ]


def _other_files(skipped: Sequence[Path]) -> str:
    if not skipped:
        return ""
    return f", only {number_of(len(skipped), 'other file')} such as {skipped[0].name!r}"
