"""One image of a source and what is known of it, the listing of all, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from vae_anomaly.data.images.folders.class_words import fold
from vae_anomaly.data.images.folders.mask_owners import MaskFiles
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.names import spelled
from vae_anomaly.words import names_of

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp"}
)
_FOLDER: Final = "folder"
"""Where `condition_of` finds a condition, unless it names a column of the manifest."""

_NAMED: Final = 10

Layout = Literal["flat", "classes", "mvtec", "manifest", "list"]


@dataclass(frozen=True)
class ImageItem:
    """One image and what is known of it.

    Parameters
    ----------
    id : str
        Path relative to the source, with forward slashes and as `vae_anomaly.names.spelled`
        writes it: the same on every machine.
    path : Path
        Where the file is.
    kind : str, optional
        "good" or the kind of defect.
    mask : Path, optional
        Tells where the defect is: a file, or a folder of several that belong together.
    mask_fault : str, optional
        Why it cannot be told which file is its mask.
    group : str, optional
        What must not be split between training and calibration: part, lot, camera.
    split : str, optional
        "train", "test" or "val".
    unsure : str, optional
        Why its class is not known although that of its neighbours is: no training takes it.
    columns : mapping of str to str or None
        Every column of the manifest, as text; empty without a manifest.
    place : str
        The folder that it lies in, beginning with the name of the source.
    """

    id: str
    path: Path
    kind: str | None = None
    is_anomaly: bool | None = None
    mask: Path | None = None
    mask_fault: str | None = None
    group: str | None = None
    split: str | None = None
    unsure: str | None = None
    columns: Mapping[str, str | None] = field(default_factory=dict, hash=False)
    place: str = ""


@dataclass(frozen=True)
class LeftOutImages:
    """Images below a source that are not used, and why.

    Parameters
    ----------
    reason : str
        In words that follow "left out": "masks", "results of vae-anomaly", "defects".
    where : str
        Their folder below the source, "" for the source itself.
    n_images : int
    """

    reason: str
    where: str
    n_images: int


@dataclass(frozen=True)
class Question:
    """What a folder's names leave open, and only its owner can say.

    Parameters
    ----------
    kind : {"classes", "several"}
        Which folders are good; or which of several data sets is meant.
    folder : str
        Whose folders they are, below the source; "." for the source itself.
    names : tuple of str
        The folders that are asked about.
    told : tuple of str
        Those beside them whose names say a class.
    """

    kind: Literal["classes", "several"]
    folder: str
    names: tuple[str, ...]
    told: tuple[str, ...]


@dataclass(frozen=True)
class ClassNames:
    """Folders, or kinds of a manifest, of which somebody said the class.

    Parameters
    ----------
    good, defect : tuple of str
        Names, in any case, or paths below the source. Where only one class is named, the folders
        beside them are the other, except cameras, lots and dates beside a good one.

    Examples
    --------
    >>> said = ClassNames(good=("0",))
    >>> said.of(PurePosixPath("line/0")), said.of(PurePosixPath("line/1"))
    ('good', None)
    """

    good: tuple[str, ...] = ()
    defect: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        both = {*map(_as_path, self.good)} & {*map(_as_path, self.defect)}
        if both:
            raise ConfigError(
                f"{min(both)!r} is said to be good and defective at once. Say one of the two."
            )

    def __bool__(self) -> bool:
        return bool(self.good or self.defect)

    def of(self, path: PurePosixPath) -> Literal["good", "defect"] | None:
        """Return what was said of a folder or kind."""
        if not self:
            return None
        names = {_as_path(path.as_posix()), _as_path(path.name)}
        if names & {*map(_as_path, self.good)}:
            return "good"
        return "defect" if names & {*map(_as_path, self.defect)} else None

    def require_found(self, folders: Iterable[str], where: str) -> None:
        """Raise a ConfigError for a name that no folder or kind has; ``where`` begins it."""
        present = sorted(folders)
        known = {_as_path(path) for path in present}
        known |= {_as_path(PurePosixPath(path).name) for path in present}
        for name in (*self.good, *self.defect):
            if _as_path(name) not in known:
                shown = names_of(present, _NAMED) or "none"
                raise ConfigError(
                    f"{where} {name!r}; there are: {shown}. Name one of these, or none."
                )


def _as_path(name: str) -> str:
    return fold(PurePosixPath(name.strip() or ".").as_posix())


@dataclass(frozen=True)
class ImageListing:
    """All images of a source, and what there was besides.

    Parameters
    ----------
    items : tuple of ImageItem
        Sorted by id; the order of the manifest or list where there is one.
    skipped : tuple of Path
        Files that are no images by their name. Hidden files are not even skipped.
    layout : {"flat", "classes", "mvtec", "manifest", "list"}
    masks : MaskFiles
        What is no image but the mask of one, by its name or folder.
    left_out : tuple of LeftOutImages
        Images that are no input: masks, results of our own, what systems keep beside them.
    questions : tuple of Question
        What must be answered before it is trained on or measured; scoring asks nothing.
    source : folder, manifest, image, pattern, or list of these
        What was listed.
    """

    items: tuple[ImageItem, ...]
    skipped: tuple[Path, ...]
    layout: Layout
    masks: MaskFiles = field(default_factory=MaskFiles)
    left_out: tuple[LeftOutImages, ...] = ()
    questions: tuple[Question, ...] = ()
    source: str | Path | Sequence[str | Path] = ()


def condition_of(item: ImageItem, where: str) -> str | None:
    """Return what an image shows, for a conditional model; None where it is not told.

    ``where`` is "folder", for the name of the folder that it lies in, or a column of the manifest.

    Examples
    --------
    >>> condition_of(ImageItem("a/1.png", Path("/tiles/train/good/a/1.png")), "folder")
    'a'
    """
    if where == _FOLDER and _FOLDER not in item.columns:
        folder = Path(os.path.abspath(item.path)).parent  # noqa: PTH100 - links stay
        return spelled(folder.name) or None
    return item.columns.get(where)


def refuse_repeated_ids(items: Sequence[ImageItem], where: str) -> None:
    """Raise if two images are called alike; ``where`` they are named begins the message."""
    known_ids: set[str] = set()
    for item in items:
        if item.id in known_ids:
            raise DataError(f"{where} names {item.id!r} twice. Give every image one id.")
        known_ids.add(item.id)
