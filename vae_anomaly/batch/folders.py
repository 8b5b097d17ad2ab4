"""Which folders of images share a partition, so that thousands of small ones do not cost the night.

A folder of many images is cut into pieces: before that of its images, in the order of their names,
whose name has the highest digest, and so are its parts, until none holds more than it may. Where a
cut lies follows from the names beside it alone, as the shape of a treap does, so one image more or
less changes the two pieces that it lies between, at most, and no other. A piece is called after
the image that it begins with.

Small folders are joined, in the order of their names, until the name of one of them says that a
group ends with it: by its digest, so that the same folders give the same groups on every machine,
and one folder more or less moves the borders of the group that it falls into and of no other. A
group is called after its first folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from vae_anomaly.data.images.folders import ImageItem
from vae_anomaly.files import sha256_of

SMALL: Final = 16
"""A folder is small with at most this part of a partition, of a thousand 62 images; groups hold
about as many. Larger groups cost little less, and more where one new folder makes one be redone.
"""

FIRST: Final = "0000"
"""What marks the piece that a folder begins with."""
_DIGITS: Final = 16  # hexadecimal, of a name's digest
_WORDS: Final = 2**64


@dataclass(frozen=True)
class Piece:
    """What becomes one partition.

    Parameters
    ----------
    folder : str
        The folder, of several the first.
    mark : str
        Tells the pieces of one folder apart: `FIRST`, or the digest of the image it begins with.
    items : tuple of ImageItem
        Folder by folder, sorted by id in each.
    """

    folder: str
    mark: str
    items: tuple[ImageItem, ...]


def pieces(items: Iterable[ImageItem], most: int) -> Iterator[Piece]:
    """Cut images into pieces of at most ``most``, sorted by folder."""
    by_folder: dict[str, list[ImageItem]] = defaultdict(list)
    for item in items:
        by_folder[item.place].append(item)
    folders = [
        (name, sorted(inside, key=lambda item: item.id))
        for name, inside in sorted(by_folder.items())
    ]
    large = [(name, inside) for name, inside in folders if len(inside) > most // SMALL]
    small = [(name, inside) for name, inside in folders if len(inside) <= most // SMALL]
    cut = [piece for name, inside in large for piece in _cut(name, inside, most)]
    joined = [
        Piece(group[0][0], FIRST, tuple(item for _, inside in group for item in inside))
        for group in _groups(small, most)
    ]
    yield from sorted([*cut, *joined], key=lambda piece: (piece.folder, piece.items[0].id))


def _cut(folder: str, items: Sequence[ImageItem], most: int) -> Iterator[Piece]:
    """Cut one folder; its first piece is marked alike whichever image comes first."""
    ranks = [sha256_of(item.id) for item in items] if len(items) > most else []
    bounds = [*_cuts(ranks, 0, len(items), most), len(items)]
    for start, end in pairwise(bounds):
        mark = ranks[start][:_DIGITS] if start else FIRST
        yield Piece(folder, mark, tuple(items[start:end]))


def _cuts(ranks: Sequence[str], start: int, end: int, most: int) -> Iterator[int]:
    """Yield where the parts of a folder begin, in order."""
    if end - start <= most:
        yield start
        return
    highest = max(range(start + 1, end), key=ranks.__getitem__)
    yield from _cuts(ranks, start, highest, most)
    yield from _cuts(ranks, highest, end, most)


def _groups(
    folders: Sequence[tuple[str, list[ImageItem]]], most: int
) -> Iterator[list[tuple[str, list[ImageItem]]]]:
    """Join small folders into groups of at most ``most`` images, of few sources those of each."""
    apart = len({_source(name) for name, _ in folders}) <= SMALL
    group: list[tuple[str, list[ImageItem]]] = []
    size = 0
    for name, items in folders:
        is_other = group and apart and _source(name) != _source(group[0][0])
        if group and (size + len(items) > most or is_other):
            yield group
            group, size = [], 0
        group.append((name, items))
        size += len(items)
        if _is_last(name, len(items), most // SMALL):
            yield group
            group, size = [], 0
    if group:
        yield group


def _source(folder: str) -> str:
    """Return the name of what was given, with which that of a folder begins."""
    return folder.partition("/")[0]


def _is_last(folder: str, n_items: int, target: int) -> bool:
    """Let chance decide, the same chance for the same name, once in ``target`` images."""
    return int(sha256_of(folder)[:16], 16) < _WORDS * n_items // max(target, 1)
