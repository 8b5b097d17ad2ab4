"""Take from a listing what a training or a measurement uses, and say what it leaves, and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Final, Literal

from vae_anomaly.data.images.folders.class_names import read_name
from vae_anomaly.data.images.folders.items import ImageItem, ImageListing, LeftOutImages, Question
from vae_anomaly.data.images.folders.layouts import NO_PART
from vae_anomaly.errors import DataError
from vae_anomaly.names import shown_source, spelled, typed
from vae_anomaly.words import names_of, number_of, verb_for

TEST_PART: Final = "test part"
VALIDATION_PART: Final = "validation part"
TRAINING_PART: Final = "training part"
DEFECTS: Final = "defects"
MASKS: Final = "masks"
MARKED: Final = "called good, but marked by a mask"
_NAMED: Final = 10
Purpose = Literal["train", "test"]
Sources = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class Selection:
    """What is used of a source, and what is not.

    Parameters
    ----------
    items : tuple of ImageItem
    left_out : tuple of LeftOutImages
        All other images below the source.
    """

    items: tuple[ImageItem, ...]
    left_out: tuple[LeftOutImages, ...]

    def reasons(self) -> dict[str, int]:
        """Count the images that are not used, by the reason; masks are not among them."""
        counts: Counter[str] = Counter()
        for one in self.left_out:
            if one.reason != MASKS:
                counts[one.reason] += one.n_images
        return dict(counts)

    def taken(self) -> dict[str, int]:
        """Count the images that are used, by their folder below the source."""
        folders = Counter(_class_folder(item) for item in self.items)
        return dict(sorted(folders.items()))


def part_in(item: ImageItem) -> str | None:
    """Return "train", "test" or "val" of an image; `NO_PART` for any other word of a manifest."""
    if item.split is None or item.split in {"train", "test", "val"}:
        return item.split
    return read_name(item.split).part or NO_PART


def why_not_trained_on(item: ImageItem) -> str | None:
    """Say why no training takes an image; None where one does."""
    part = part_in(item)
    if part in _REASONS:
        return _REASONS[part]
    return DEFECTS if item.is_anomaly else item.unsure


_REASONS: Final = {"test": TEST_PART, "val": VALIDATION_PART, NO_PART: NO_PART}


def select(listing: ImageListing, purpose: Purpose, source: Sources) -> Selection:
    """Take the images of good parts for a training, or what a detector is measured on.

    A training takes the part ``train``, or all where there are no parts, without what is called
    defective, or lies beside folders of classes and has none. A measurement takes the part
    ``test``, else ``val``, else all.

    Parameters
    ----------
    source : object
        Where the images are from, for messages.

    Raises
    ------
    DataError
        If names leave open which images are good, several data sets lie beside each other, or
        nothing is left to use.
    """
    for question in listing.questions:
        raise DataError(f"{what_is_open(question, source)} {how_to_say(question, source, purpose)}")
    reasons = _reasons(listing.items, purpose)
    items = tuple(item for item in listing.items if reasons[item.id] is None)
    if not items:
        raise DataError(_nothing_left(listing.items, reasons, purpose, source))
    return Selection(items, (*_counted(listing.items, reasons), *listing.left_out))


def reasons_against(listing: ImageListing) -> tuple[LeftOutImages, ...]:
    """Count what no training would take of a listing, whatever it leaves open."""
    return (*_counted(listing.items, _reasons(listing.items, "train")), *listing.left_out)


def _reasons(items: Sequence[ImageItem], purpose: Purpose) -> dict[str, str | None]:
    """Say of each image, by its id, why it is not used; None where it is."""
    if purpose == "train":
        return {item.id: why_not_trained_on(item) for item in items}
    return _not_measured(items)


def _counted(
    items: Sequence[ImageItem], reasons: Mapping[str, str | None]
) -> Iterator[LeftOutImages]:
    """Count by reason and folder what is not used, in the order of the images."""
    places = ((reasons[item.id], _class_folder(item)) for item in items)
    for (reason, folder), n in Counter(places).items():
        if reason is not None:
            yield LeftOutImages(reason, folder, n)


def _not_measured(items: Sequence[ImageItem]) -> dict[str, str | None]:
    """Say of each image why a detector is not measured on it."""
    parts = {part_in(item) for item in items}
    wanted = next((part for part in ("test", "val") if part in parts), None)
    if "train" not in parts and (wanted is None or None in parts):
        return dict.fromkeys(item.id for item in items)
    reasons = {"train": TRAINING_PART, "val": VALIDATION_PART, None: None, wanted: None}
    return {
        item.id: item.unsure if part_in(item) is None else reasons.get(part_in(item), NO_PART)
        for item in items
    }


def _class_folder(item: ImageItem) -> str:
    """Return the folder that gave an image its part or kind, else the one that it lies in."""
    parts = PurePosixPath(item.id).parent.parts
    for depth in range(len(parts), 0, -1):
        if parts[depth - 1] == item.kind:
            return "/".join(parts[:depth])
    return "/".join(parts)


# ------------------------------------------------------------------ in words


def told(left_out: Iterable[LeftOutImages]) -> tuple[str, ...]:
    """Say what is left out, one line a reason: how many images, why, and where they lie.

    Examples
    --------
    >>> told([LeftOutImages("defects", "train/bad", 6), LeftOutImages("masks", "ground_truth", 6)])
    ('left out: 6 images, defects (train/bad)', 'left out: 6 images, masks (ground_truth)')
    """
    folders: dict[str, dict[str, int]] = defaultdict(dict)
    for one in left_out:
        folders[one.reason][one.where] = folders[one.reason].get(one.where, 0) + one.n_images
    return tuple(
        f"left out: {number_of(sum(where.values()), 'image')}, {reason}{_places(where)}"
        for reason, where in folders.items()
    )


def _places(where: dict[str, int]) -> str:
    names = names_of((name for name in where if name), _NAMED)
    return f" ({names})" if names else ""


def what_is_open(question: Question, source: Sources) -> str:
    """Say what only the owner of a folder can tell."""
    where, names = _inside(source, question), names_of(question.names, _NAMED)
    if question.kind == "several":
        return f"{where} holds {len(question.names)} data sets: {names}."
    if question.told:
        tell = verb_for(len(question.told), "names a class", "name classes")
        return (
            f"{where}: {names_of(question.told, _NAMED)} {tell}, and nothing says whether images "
            f"in {names} are good."
        )
    is_manifest = isinstance(source, str | Path) and Path(source).is_file()
    what = "kinds" if is_manifest else "folders"
    return f"{where}: {what} look like classes, and nothing says which of them is good: {names}."


def how_to_say(question: Question, source: Sources, purpose: Purpose = "train") -> str:
    """Return the command or options that settle it."""
    named = [source] if isinstance(source, str | Path) else list(source)
    words = typed(*named)
    begin = f"vae-anomaly train images {words} --name NAME " if purpose == "train" else ""
    first, *rest = question.names
    if question.kind == "several":
        return (
            "A model learns one of them: give its folder, such as "
            f"{quote(_folder_of(first, source, question))}. To take all of them as one, name "
            "their folders of good images, as in --good good."
        )
    good, defect = _options("--good", question.names), _options("--defect", question.names)
    if not rest:
        return f"Say it: {begin}{good}, or {defect}."
    if question.told:
        return (
            f"Say it: {begin}{good}, or {defect}. Where only some are good, name these with --good:"
            " the others are then defects."
        )
    return (
        f"Say it: {begin}--good {quote(first)} {_options('--defect', rest)}, or the other way "
        f"round. Where all are good (cameras, lots): {good}."
    )


def _folder_of(name: str, source: Sources, question: Question) -> str:
    """Return the folder of one of several data sets, as it would be given."""
    if isinstance(source, str | Path) and Path(source).is_dir():
        return str(Path(source, question.folder, name))
    return str(Path(question.folder, name))


def _inside(source: Sources, question: Question) -> str:
    """Return the folder that is asked about; of several inputs it begins with the name of one."""
    several = not isinstance(source, str | Path) and len(source) > 1
    if several or question.folder == ".":
        return shown_source(source) if question.folder == "." else question.folder
    return f"{shown_source(source)}/{question.folder}"


def _options(option: str, names: Sequence[str]) -> str:
    return " ".join(f"{option} {quote(name)}" for name in names[:_NAMED]) + (
        " ..." if len(names) > _NAMED else ""
    )


def _nothing_left(
    items: Sequence[ImageItem],
    reasons: Mapping[str, str | None],
    purpose: Purpose,
    source: Sources,
) -> str:
    where = shown_source(source)
    whole, counts = len(reasons), Counter(reasons.values())
    why = "; ".join(f"{n:,} {reason}" for reason, n in counts.items())
    if purpose == "test" and set(counts) == {TRAINING_PART}:
        return (
            f"{source} has nothing to measure on: all its {whole:,} images are in the training "
            "part. Put images that no model was trained on into a folder test beside it, good ones "
            "into test/good and each kind of defect into a folder of its own; or name the folder "
            "that has them."
        )
    if purpose == "test":
        return (
            f"{where} has no images in 'test': of {whole:,} images none is to be measured on "
            f"({why}). Give the folder that is meant."
        )
    if set(counts) == {DEFECTS}:
        return (
            f"All {whole:,} images of {where} are labelled as defective. Train on images of good "
            "parts, or name their folder with --good NAME."
        )
    begin = f"{where} has no images to train on: of {whole:,} images {why}."
    if MARKED in counts:
        return f"{begin} Masks of a part, not of defects, are not to lie in the folder given."
    held_back = [item.path.parent for item in items if part_in(item) and not item.is_anomaly]
    if held_back:
        return (
            f"{begin} Give the folder of good images itself, such as {spelled(str(held_back[0]))}."
        )
    return f"{begin} Give the folder of good images itself, or name it with --good NAME."
