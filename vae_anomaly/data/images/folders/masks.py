"""Tell masks from images by where they lie, what they are called and, in doubt, what they hold.

A mask says which pixels of its image are defective. It is found

* in a folder called ``ground_truth``, ``gt``, ``mask`` or ``masks`` (in any case and several
  languages, also ``Mask_images`` or ``test_masks``), whether it repeats the folders of the images
  or not: ``test/crack/000.png`` and ``ground_truth/crack/000_mask.png``, ``images/7.jpg`` and
  ``masks/7.png``; where an image has several, in a folder that is called like it,
  ``ground_truth/crack/000/001.png``;
* beside its image, called ``NAME_mask``, ``NAME_GT`` or ``NAME_ground_truth``; a file called so
  that holds what masks hold is a mask even where no image is called NAME;
* as both with ``label``, ``annotation`` or ``segmentation``, and called like its image but for the
  suffix, if it holds what masks hold: there are photos of labels.

Masks are no images: nobody trains on them or scores them.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from vae_anomaly.data.images.folders.items import IMAGE_SUFFIXES
from vae_anomaly.data.images.folders.mask_owners import (
    TEST_NAMES,
    TRAIN_NAMES,
    MaskFiles,
    NamedFile,
    find_owners,
)
from vae_anomaly.data.images.folders.walk import walk
from vae_anomaly.data.images.masks import looks_like_mask

_SURE: Final = (
    r"ground[_ -]?truths?|gt|masks?|masken?|masques?|m[aá]scaras?|maschera|maschere|maska|maski|"
    r"маск[аи]|掩[码碼膜]|遮罩|マスク|마스크"
)
_UNSURE: Final = r"labels?|annotations?|segs?|segmentations?|segmentation[_ -]?(?:class|object)"
_OF_IMAGES: Final = frozenset(
    {"image", "images", "img", "imgs", "jpegimages", "photos", "data", "rgb"}
)
_BEFORE: Final = "|".join(
    sorted(TRAIN_NAMES | TEST_NAMES | _OF_IMAGES | {"defects?", "anomaly", "binary", "pixel"})
)
_FOLDER: Final = re.compile(
    rf"(?:({_BEFORE})[_ -])?(?:{_SURE}|({_UNSURE}))(?:[_ -]?(?:images?|imgs?|dir))?", re.IGNORECASE
)
_ENDING: Final = re.compile(rf"(.+?)[_. -](?:{_SURE}|({_UNSURE}))", re.IGNORECASE)
_BEGINNING: Final = re.compile(rf"(?:{_SURE}|{_UNSURE})[_. -](.+)", re.IGNORECASE)
_IMAGE_WORD: Final = re.compile(r"^(?:image|img)[_. -]?(?=.)|(?<=.)[_. -](?:image|img)$")
_LOSSY: Final = frozenset({".jpg", ".jpeg", ".jpe"})
_LOOKED_AT: Final = 5  # files of a folder, to tell masks from photos


def masks_among(root: Path, files: Sequence[Path]) -> MaskFiles:
    """Tell which files below a folder are masks of which others.

    Where the folder is called ``test`` or ``images``, masks that lie beside it are found as well.

    Parameters
    ----------
    root : Path
    files : sequence of Path
        Below the root, called like images.
    """
    in_folders = _mask_folders(root, files)
    inside = {file for group in in_folders.values() for file in group}
    others = [file for file in files if file not in inside]
    beside = _beside(others)
    lonely = {file for file in others if file not in beside and _is_lonely_mask(file)}
    images = [f for f in others if f not in beside and f not in lonely]
    masks = [_mask(root, folder, file) for folder, group in in_folders.items() for file in group]
    masks += [_mask(root.parent, folder, file) for folder, file in _outside(root, images)]
    of, unclear = find_owners([_image(root, file) for file in images], masks) if masks else ({}, {})
    for mask, image in beside.items():
        if image in of or image in unclear:
            other = of.pop(image, mask)
            unclear[image] = f"{mask.name} and {other.name} could both be its mask"
        else:
            of[image] = mask
    return MaskFiles(of, frozenset(inside | lonely | beside.keys()), unclear)


def _mask_folders(root: Path, files: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return the folders of masks below the root, and the files in them."""
    inside: dict[Path, list[Path]] = defaultdict(list)
    others: list[Path] = []
    known: dict[str, Path | None] = {}  # by the folder of a file: that of masks which it lies in
    for file in files:
        place = os.path.dirname(file)  # noqa: PTH120 - a hundred thousand times
        if place not in known:
            known[place] = _mask_folder(root, Path(place))
        folder = known[place]
        (others if folder is None else inside[folder]).append(file)
    keys = {_key(file.stem) for file in others} if inside else set()
    return {folder: group for folder, group in inside.items() if _are_masks(folder, group, keys)}


def _mask_folder(root: Path, place: Path) -> Path | None:
    """Return the outermost folder on the way to a place that is called like one of masks."""
    parts = place.relative_to(root).parts
    at = next((i for i, name in enumerate(parts) if _FOLDER.fullmatch(name)), None)
    return None if at is None else root.joinpath(*parts[: at + 1])


def _are_masks(folder: Path, group: Sequence[Path], keys: set[str]) -> bool:
    """Tell a folder of masks from one of images that is called so, by its partners or its files."""
    word = _FOLDER.fullmatch(folder.name)
    has_partners = any(not keys.isdisjoint({_key(f.stem), _key(f.parent.name)}) for f in group)
    if word and word[2] is None and has_partners:
        return True
    return bool(keys) and all(looks_like_mask(file) for file in group[:_LOOKED_AT])


def _outside(root: Path, images: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return the masks beside a folder that is called like a part of a set, with their folder."""
    if root.name.lower() not in TEST_NAMES | _OF_IMAGES or not root.parent.is_dir():
        return []
    keys = {_key(file.stem) for file in images}
    folders = [f for f in root.parent.iterdir() if _FOLDER.fullmatch(f.name) and f.is_dir()]
    found = []
    for folder in sorted(folders):
        group = [file for file in walk(folder) if file.suffix.lower() in IMAGE_SUFFIXES]
        if group and _are_masks(folder, group, keys):
            found += [(folder, file) for file in group]
    return found


def _beside(files: Sequence[Path]) -> dict[Path, Path]:
    """Return the masks that lie beside their image, with the image."""
    alike: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        alike[os.path.splitext(file)[0]].append(file)  # noqa: PTH122 - a hundred thousand times
    pairs: dict[Path, Path] = {}
    for name, same in alike.items():
        word = _ENDING.fullmatch(os.path.basename(name))  # noqa: PTH119 - as often
        images = alike.get(name[: word.end(1) - word.end()]) if word else None
        if word and images:
            is_sure = word[2] is None
            pairs |= {file: images[0] for file in same if is_sure or looks_like_mask(file)}
    return {**_called_alike(alike.values()), **pairs}


def _is_lonely_mask(file: Path) -> bool:
    """Tell a mask by its name and what it holds, whether its image is there or not."""
    word = _ENDING.fullmatch(file.stem)
    return word is not None and word[2] is None and looks_like_mask(file)


def _called_alike(groups: Iterable[Sequence[Path]]) -> dict[Path, Path]:
    """Return the masks among files that differ in their suffix only: a photo and a mask."""
    pairs: dict[Path, Path] = {}
    tried = 0
    for group in groups:
        if len(group) != 2:
            continue
        photos = [file for file in group if file.suffix.lower() in _LOSSY]
        others = [file for file in group if file.suffix.lower() not in _LOSSY]
        if len(photos) == len(others) == 1 and (pairs or tried < _LOOKED_AT):
            tried += 1
            if looks_like_mask(others[0]):
                pairs[others[0]] = photos[0]
    return pairs


# ------------------------------------------------------------------ names


def _key(stem: str) -> str:
    """Return what a mask and its image are both called: of ``image_007`` and ``007_mask`` 007."""
    stem = stem.lower()
    for pattern in (_ENDING, _BEGINNING):
        if (word := pattern.fullmatch(stem)) is not None:
            stem = word[1]
    return _IMAGE_WORD.sub("", stem)


def _mask(root: Path, folder: Path, file: Path) -> NamedFile:
    word = _FOLDER.fullmatch(folder.name)
    part = word[1] if word and word[1] else ""
    above, below = folder.relative_to(root).parts[:-1], file.relative_to(folder).parts[:-1]
    names = (*above, *([part] if part.lower() in TRAIN_NAMES | TEST_NAMES else []), *below)
    return NamedFile(file, _plain(names), _key(file.stem))


def _image(root: Path, file: Path) -> NamedFile:
    return NamedFile(file, _plain(file.relative_to(root).parts[:-1]), _key(file.stem))


def _plain(folders: Iterable[str]) -> tuple[str, ...]:
    names = [name.lower() for name in folders]
    return tuple(name for name in names if name not in _OF_IMAGES and not _FOLDER.fullmatch(name))
