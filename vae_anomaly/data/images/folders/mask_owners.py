"""Find the image that a mask belongs to, by the folders and names of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vae_anomaly.data.images.folders.class_names import read_name

TRAIN_NAMES: Final = frozenset({"train", "training"})
TEST_NAMES: Final = frozenset({"test", "testing", "val", "valid", "validation"})

Folders = tuple[str, ...]
_Keys = dict[tuple[Folders, str], list[Path]]


@dataclass(frozen=True)
class MaskFiles:
    """The masks among files.

    Parameters
    ----------
    of : mapping of Path to Path
        Of images that have one: their mask, or the folder of several that belong together.
    files : frozenset of Path
        All files that are masks and no images, also those that belong to no image.
    unclear : mapping of Path to str
        Of images whose mask cannot be told: why.
    """

    of: Mapping[Path, Path] = field(default_factory=dict)
    files: frozenset[Path] = frozenset()
    unclear: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NamedFile:
    """An image or a mask, by what of its path tells who belongs to whom, in lower case.

    Parameters
    ----------
    path : Path
    folders : tuple of str
        Those below the root, without names that only say "images" or "masks".
    stem : str
        The name without its suffix, and without words for "image" and "mask".
    """

    path: Path
    folders: Folders
    stem: str

    @property
    def doubt(self) -> int:
        """How little a mask is expected: 0 of a defect, 1 of a good image, 2 of one to train on."""
        read = [read_name(name) for name in self.folders]
        if any(name.part == "train" for name in read):
            return 2
        return int(any(name.says == "good" for name in read))


def find_owners(
    images: Sequence[NamedFile], masks: Sequence[NamedFile]
) -> tuple[dict[Path, Path], dict[Path, str]]:
    """Return the mask of each image that has one, and why it cannot be told for others.

    Compared are, in turn: all folders; those that are not called train or test; only the masks that
    lie in none; only the images that lie in none. A folder that is called like the image stands
    for all masks in it.
    """
    of: dict[Path, Path] = {}
    unclear: dict[Path, str] = {}
    steps: list[tuple[Callable[[Folders], Folders | None], Callable[[Folders], Folders | None]]] = [
        (_all, _all),
        (_without_parts, _without_parts),
        (_none, _only_if_none),
        (_only_if_none, _none),
    ]
    for of_image, of_mask in steps:
        used = set(of.values())
        free = [m for m in masks if m.path not in used and m.path.parent not in used]
        known = _by_key(free, of_mask)
        claims: dict[Path, list[NamedFile]] = defaultdict(list)
        for image in images:
            folders = of_image(image.folders)
            if image.path in of or image.path in unclear or folders is None:
                continue
            found = known.get((folders, image.stem), [])
            if len(found) > 1:
                unclear[image.path] = f"{found[0].name} and {found[1].name} could both be its mask"
            elif found:
                claims[found[0]].append(image)
        for mask, owners in claims.items():
            _settle(mask, owners, of, unclear)
    return of, unclear


def _settle(
    mask: Path, owners: Sequence[NamedFile], of: dict[Path, Path], unclear: dict[Path, str]
) -> None:
    """Give a mask to the one image that it fits, or the one that most likely has a defect."""
    least = min(image.doubt for image in owners)
    likely = [image for image in owners if image.doubt == least]
    if len(likely) == 1:
        of[likely[0].path] = mask
    for image in likely if len(likely) > 1 else ():
        unclear[image.path] = f"{mask.name} fits {len(likely)} images"


def _by_key(masks: Iterable[NamedFile], folders_of: Callable[[Folders], Folders | None]) -> _Keys:
    """Index masks by folders and stem, and folders of several by theirs."""
    files: _Keys = defaultdict(list)
    several: _Keys = {}
    for mask in masks:
        folders = folders_of(mask.folders)
        if folders is not None:
            files[folders, mask.stem].append(mask.path)
        if mask.folders:
            above, name = folders_of(mask.folders[:-1]), mask.folders[-1]
            if above is not None:
                several[above, name] = [mask.path.parent]
    return {**several, **files}


def _all(folders: Folders) -> Folders:
    return folders


def _none(folders: Folders) -> Folders:
    return ()


def _without_parts(folders: Folders) -> Folders:
    return tuple(name for name in folders if name not in TRAIN_NAMES | TEST_NAMES)


def _only_if_none(folders: Folders) -> Folders | None:
    return None if _without_parts(folders) else ()
