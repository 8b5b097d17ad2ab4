"""Read from the folders that images lie in which class they have and which part they belong to.

Folders are read from the top, and always beside their siblings: a name alone says too little. The
rule, which docs/layouts.md tells with examples:

* ``train`` beside ``test`` or ``val``, alone, or with a folder of good images in it, makes a data
  set with parts. A folder ``test`` or ``val`` elsewhere takes nothing from its siblings.
* Where a sibling is called good, any other is a kind of defect, except cameras, lots, dates and
  numbers, of which the class is not known.
* Where siblings say defective and none says good, cameras, lots and dates are what was left when
  the defects were taken out. Of any other name it is asked whether it is good.
* Where no sibling says either, codes of classes (``0 1``, ``pos neg``) are asked about, and all
  other folders are plain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from vae_anomaly.data.images.folders.class_names import (
    FolderName,
    are_codes,
    read_name,
)
from vae_anomaly.data.images.folders.items import (
    ClassNames,
    ImageItem,
    Layout,
    Question,
)

NO_PART: Final = "neither train nor test"
NO_CLASS: Final = "class not known"


@dataclass
class _Folder:
    """A folder that has images in or below it."""

    path: PurePosixPath  # below the root
    images: list[Path] = field(default_factory=list)
    children: dict[str, _Folder] = field(default_factory=dict)


@dataclass(frozen=True)
class _Known:
    """What is known of a folder from those above it and beside it."""

    split: str | None = None
    kind: str | None = None
    is_anomaly: bool | None = None
    unsure: str | None = None
    good_is_named: bool = False  # a folder of good images beside it, or in the part for training


@dataclass(frozen=True)
class LaidOut:
    """The images of a folder as its folders describe them.

    Parameters
    ----------
    questions : tuple of Question
        What must be said before any of it is trained on or measured.
    folders : frozenset of str
        All folders with images in or below them, below the root.
    """

    items: tuple[ImageItem, ...]
    layout: Layout
    questions: tuple[Question, ...] = ()
    folders: frozenset[str] = frozenset()


def lay_out(
    root: Path,
    images: Sequence[Path],
    classes: ClassNames | None = None,
    folders: Iterable[Path] = (),
) -> LaidOut:
    """Describe each image by the folders that it lies in.

    Parameters
    ----------
    images : sequence of Path
        All below the root.
    classes : ClassNames, optional
        Folders of which the class was said, by name or by path below the root.
    folders : iterable of Path
        All below the root. One that is called good tells the class of its siblings even if it is
        empty: they are what its owner has not found good.
    """
    reader = _Reader(root, classes or ClassNames())
    good = (folder for folder in folders if _is_good(folder.name))
    reader.read(_tree(root, images, good), _Known())
    layout: Layout = "mvtec" if reader.has_parts else "classes" if reader.has_classes else "flat"
    return LaidOut(tuple(reader.items), layout, tuple(reader.questions), frozenset(reader.folders))


def _tree(root: Path, images: Sequence[Path], folders: Iterable[Path]) -> _Folder:
    top = _Folder(PurePosixPath())
    for file in images:
        _enter(top, file.relative_to(root).parts[:-1]).images.append(file)
    for place in folders:
        _enter(top, place.relative_to(root).parts)
    return top


def _enter(folder: _Folder, names: Sequence[str]) -> _Folder:
    for name in names:
        if name not in folder.children:
            folder.children[name] = _Folder(folder.path / name)
        folder = folder.children[name]
    return folder


def _is_good(name: str) -> bool:
    read = read_name(name)
    return read.says == "good" and read.is_whole


@dataclass
class _Reader:
    """Goes down a tree and collects what its folders say."""

    root: Path
    said: ClassNames
    items: list[ImageItem] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    has_parts: bool = False
    has_classes: bool = False

    def read(self, folder: _Folder, known: _Known) -> str | None:
        """Describe what is in and below a folder; return "parts" or "classes" if it has these."""
        self.folders |= {child.path.as_posix() for child in folder.children.values()}
        children = folder.children
        parts = _parts(children, self.said)
        others = {name: child for name, child in children.items() if name not in parts}
        is_set = _is_data_set(folder, children, parts, others)
        if is_set:
            self.has_parts = True
        elif "train" in parts.values():  # a word like any other: nothing is split here
            others |= {name: children[name] for name, part in parts.items() if part == "train"}
            parts = {name: part for name, part in parts.items() if part != "train"}
        outside = replace(known, unsure=NO_PART) if is_set and "train" in parts.values() else known
        self._describe(folder, outside, others)
        verdicts = self._of_classes(others, outside)
        trained_on_good = any(
            _has_good(children[name], self.said) for name, part in parts.items() if part == "train"
        )
        for name, part in parts.items():
            below = replace(
                known,
                split=part,
                good_is_named=trained_on_good and part != "train",
            )
            self.read(children[name], _of_name(below, read_name(name), name))
        inner = {name: self.read(child, verdicts[name]) for name, child in others.items()}
        self._ask_which(folder, inner)
        if is_set:
            return "parts"
        named = known.kind is None and any(verdicts[name].kind is not None for name in others)
        self.has_classes |= named
        if named:
            return "classes"
        return next(iter(inner.values())) if len(inner) == 1 and not folder.images else None

    def _describe(self, folder: _Folder, known: _Known, others: dict[str, _Folder]) -> None:
        """Describe the images that lie in the folder itself."""
        says = {self.said.of(child.path) or read_name(name).says for name, child in others.items()}
        unsorted = known.kind is None and known.unsure is None and "good" in says
        unsure = NO_CLASS if unsorted else known.unsure
        for file in folder.images:
            parts = file.relative_to(self.root).parts
            self.items.append(
                ImageItem(
                    PurePosixPath(*parts).as_posix(),
                    file,
                    kind=known.kind,
                    is_anomaly=known.is_anomaly,
                    split=known.split,
                    unsure=unsure,
                )
            )

    def _of_classes(self, siblings: dict[str, _Folder], known: _Known) -> dict[str, _Known]:
        """Return what is known of each sibling, and ask where that is too little."""
        said = {name: self.said.of(child.path) for name, child in siblings.items()}
        names = {name: read_name(name) for name in siblings}
        if known.kind is not None:
            return {name: _within(known, name, names[name], said[name]) for name in siblings}
        if any(said.values()):
            return {name: _as_said(known, name, names[name], said) for name in siblings}
        says = {name.says for name in names.values()}
        good = [name for name in names.values() if name.says == "good"]
        good_is_named = known.good_is_named or any(name.is_whole for name in good)
        coded = not good_is_named and not says & {"good", "defect"} and are_codes(names)
        coded &= not all(_holds_classes(child) for child in siblings.values())
        result, asked = {}, []
        for name, read in names.items():
            if read.says in {"good", "defect"}:
                result[name] = _of_name(known, read, name)
            elif read.says == "unsorted" and (good_is_named or says & {"good", "defect"}):
                result[name] = replace(known, unsure=known.unsure or NO_CLASS)
            elif good_is_named or good:
                result[name] = replace(known, unsure=known.unsure or NO_CLASS)
                if read.says in {"nothing", "code"}:
                    if good_is_named:
                        result[name] = replace(known, kind=name, is_anomaly=True)
                    else:
                        asked.append(name)
            else:
                result[name] = known
                if coded or ("defect" in says and read.says in {"nothing", "code"}):
                    asked.append(name)
        if asked and known.unsure is None:
            self._ask_class(siblings, names, asked)
        return result

    def _ask_class(
        self, siblings: dict[str, _Folder], names: dict[str, FolderName], asked: list[str]
    ) -> None:
        told = tuple(name for name, read in names.items() if read.says in {"good", "defect"})
        folder = next(iter(siblings.values())).path.parent.as_posix()
        self.questions.append(Question("classes", folder, tuple(asked), told))

    def _ask_which(self, folder: _Folder, inner: dict[str, str | None]) -> None:
        """Ask which of several data sets is meant: one model learns one product."""
        if self.said:
            return
        parted = [name for name, what in inner.items() if what == "parts"]
        classed = [
            name
            for name, what in inner.items()
            if what == "classes" and read_name(name).says in {"nothing", "code"}
        ]
        several = parted if len(parted) > 1 else classed
        if len(several) > 1:
            self.questions.append(Question("several", folder.path.as_posix(), tuple(several), ()))


def _parts(children: dict[str, _Folder], said: ClassNames) -> dict[str, str]:
    """Return which children are called like a part, unless their class was said.

    Those with a number (``test2017``) are parts where one for training is among them.
    """
    named = {
        name: read_name(name)
        for name, child in children.items()
        if read_name(name).part is not None and said.of(child.path) is None
    }
    is_split = any(read.part == "train" for read in named.values())
    return {
        name: read.part
        for name, read in named.items()
        if read.part and (is_split or not read.is_numbered)
    }


def _is_data_set(
    folder: _Folder,
    children: dict[str, _Folder],
    parts: dict[str, str],
    others: dict[str, _Folder],
) -> bool:
    """Tell a data set with parts from a folder in which one happens to be called test."""
    alone = not others and not folder.images
    classed = any(
        read_name(below).says in {"good", "defect"}
        for name in parts
        for below in (name, *children[name].children)
    )
    if "train" in parts.values():
        return len({*parts.values()}) > 1 or alone or classed
    return bool(parts) and alone and classed


def _has_good(folder: _Folder, said: ClassNames) -> bool:
    return any(
        said.of(child.path) == "good" or _is_good(name) for name, child in folder.children.items()
    )


def _holds_classes(folder: _Folder) -> bool:
    """Tell whether folders below one say the class, or the part of a data set."""
    return any(
        read_name(name).says in {"good", "defect"}
        or read_name(name).part == "train"
        or _holds_classes(child)
        for name, child in folder.children.items()
    )


def _of_name(known: _Known, read: FolderName, name: str) -> _Known:
    """Add what a name says by itself."""
    if read.says not in {"good", "defect"}:
        return known
    return replace(known, kind=name, is_anomaly=read.says == "defect")


def _within(known: _Known, name: str, read: FolderName, said: str | None) -> _Known:
    """Below a class only what is said, or a folder of defects among good ones, changes it."""
    verdict = said or (read.says if read.says == "defect" else None)
    if verdict is None:
        return known
    return replace(known, kind=name, is_anomaly=verdict == "defect")


def _as_said(known: _Known, name: str, read: FolderName, said: Mapping[str, str | None]) -> _Known:
    """Take what was said of siblings; where only one class was named the rest is the other."""
    verdict = said[name] or (read.says if read.says in {"good", "defect"} else None)
    named = {one for one in said.values() if one}
    if verdict is None and read.says != "unsorted" and len(named) == 1:
        if "defect" in named:
            verdict = "good"
        elif read.says != "plain" or are_codes(said):
            verdict = "defect"
    if verdict is None:
        return replace(known, unsure=known.unsure or NO_CLASS)
    return replace(known, kind=name, is_anomaly=verdict == "defect")
