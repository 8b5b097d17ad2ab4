"""Which items of a partition are kept for reviewers, and the file they are kept in.

::

    keeper = ReviewKeeper()
    for ids, scores, flags in batches:
        for place in keeper.offer(ids, scores, flags):
            keeper.keep(ids[place], ReviewItem(...))  # made for these alone: it costs
    names = keeper.write(root, key)

``review/<key>.jsonl`` holds one item a line: the flagged ones with the highest scores, the highest
of the others, and a random sample of the others. Which these are follows from ids and scores alone,
whatever the order and the batches that they come in.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Floats
from vae_anomaly.batch.output.written import review_path
from vae_anomaly.errors import DataError
from vae_anomaly.files import leads_out, remove_file, replace_file, sha256_of
from vae_anomaly.reports.facts.items import ReviewItem, ReviewRole
from vae_anomaly.state import from_json
from vae_anomaly.words import reason_of

MOST: Final[Mapping[ReviewRole, int]] = {"flagged": 500, "near_miss": 24, "audit": 30}
"""Items of a partition that are kept in each role, where it is large."""

_FEWEST: Final = 3
_SHARE: Final = 20

_WORDS: Final = 2**64
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")

Made = ReviewItem | Callable[[], ReviewItem]
"""An item, or what makes it when the file is written; roles and draw are filled in."""


def most_of(n: int) -> dict[ReviewRole, int]:
    """Return how many of ``n`` items are kept: of small partitions, of which a night has many, few.

    Of those that are not flagged about one in twenty in each role.

    Examples
    --------
    >>> most_of(62)
    {'flagged': 500, 'near_miss': 7, 'audit': 7}
    """
    few = _FEWEST + -(-n // _SHARE)
    return {role: most if role == "flagged" else min(most, few) for role, most in MOST.items()}


def draw_of(identifier: str) -> float:
    """Draw a number in [0, 1) for an item, from its id alone: the same everywhere, and uniform.

    Examples
    --------
    >>> round(draw_of("night/001.png"), 4)
    0.7277
    """
    first = hashlib.sha256(identifier.encode()).digest()[:8]
    return (int.from_bytes(first) >> 11) / (_WORDS >> 11)  # 53 bits: never 1


def draws_of(identifiers: Iterable[str]) -> Floats:
    """Return the draw of each of N items, (N,), as `draw_of` gives it."""
    firsts = (hashlib.sha256(name.encode()).digest()[:8] for name in identifiers)
    bits = np.frombuffer(b"".join(firsts), ">u8") >> 11
    return np.asarray(bits / float(_WORDS >> 11), np.float64)


class ReviewKeeper:
    """Collect the items of one partition that reviewers will see, never more than are kept.

    Parameters
    ----------
    most : mapping of ReviewRole to int, optional
        Items in each role, all of them named.
    """

    def __init__(self, most: Mapping[ReviewRole, int] = MOST) -> None:
        self._firsts = {role: _Firsts(n) for role, n in most.items()}
        self._made: dict[str, Made] = {}

    def offer(self, ids: Sequence[str], scores: ArrayLike, is_anomaly: ArrayLike) -> list[int]:
        """Offer scored items, and return the places of those that would be kept now.

        Each of them wants `keep`. One that is not returned is never kept.

        Parameters
        ----------
        ids : sequence of N str
            No two alike in a partition.
        scores : array-like of shape (N,)
            -log10 p.
        is_anomaly : array-like of shape (N,), bool
        """
        ranks, flags = -np.asarray(scores, np.float64), np.asarray(is_anomaly, np.bool_)
        flagged, others = np.flatnonzero(flags), np.flatnonzero(~flags)
        draws = draws_of(ids[place] for place in others.tolist())
        self._firsts["flagged"].take(ranks[flagged], [ids[i] for i in flagged.tolist()])
        self._firsts["near_miss"].take(ranks[others], [ids[i] for i in others.tolist()])
        self._firsts["audit"].take(draws, [ids[i] for i in others.tolist()])
        kept = {name for firsts in self._firsts.values() for name in firsts.ids()}
        self._made = {name: made for name, made in self._made.items() if name in kept}
        return [place for place, name in enumerate(ids) if name in kept]

    def keep(self, identifier: str, made: Made) -> None:
        """Hand in an item that `offer` asked for, or what will make it if it is kept to the end."""
        self._made[identifier] = made

    def forget(self, identifier: str) -> None:
        """Keep an item no longer that `offer` asked for."""
        self._made.pop(identifier, None)
        for firsts in self._firsts.values():
            firsts.remove(identifier)

    def items(self) -> list[ReviewItem]:
        """Return what is kept, the highest score first, each with its roles."""
        roles: dict[str, list[ReviewRole]] = {}
        for role, firsts in self._firsts.items():
            for name in firsts.ids():
                roles.setdefault(name, []).append(role)
        items = [
            replace(_item(self._made[name]), roles=tuple(own), draw=draw_of(name))
            for name, own in roles.items()
        ]
        return sorted(items, key=lambda item: (-item.score, item.id))

    def write(self, root: Path, key: str) -> list[str]:
        """Write the file of a partition in one step; return its name, none without items."""
        target, items = root / review_path(key), self.items()
        if not items:
            remove_file(target)  # of an earlier run
            return []
        with replace_file(target) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(_line(item) for item in items)
        return [review_path(key)]


def _item(made: Made) -> ReviewItem:
    return made if isinstance(made, ReviewItem) else made()


def _line(item: ReviewItem) -> str:
    values = dict(vars(item))
    del values["learned"]  # a page fills it in
    return (
        json.dumps(values, default=vars, ensure_ascii=False, allow_nan=False, sort_keys=True) + "\n"
    )


class _Firsts:
    """The first ``most`` by rank and id of all that was taken, in whatever order it came."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sorted: list[tuple[float, str]] = []

    def take(self, ranks: Floats, ids: Sequence[str]) -> None:
        """Take the next ones; all but a few are passed over at once."""
        near = np.arange(len(ranks))
        if len(ranks) > self._most:
            near = np.flatnonzero(ranks <= np.partition(ranks, self._most)[self._most])
        self._sorted = sorted([*self._sorted, *((float(ranks[i]), ids[i]) for i in near.tolist())])
        del self._sorted[self._most :]

    def remove(self, identifier: str) -> None:
        self._sorted = [pair for pair in self._sorted if pair[1] != identifier]

    def ids(self) -> list[str]:
        return [identifier for _, identifier in self._sorted]


def read_review(root: str | Path, entry: Mapping[str, Any]) -> list[ReviewItem]:
    """Read what is kept of a partition for reviewers.

    Parameters
    ----------
    root : str or Path
        Output folder of a finished run.
    entry : mapping
        Of the partition, in ``partitions`` of the manifest.

    Returns
    -------
    list of ReviewItem
        The highest score first; none where an earlier version has scored, which kept nothing.

    Raises
    ------
    DataError
        If the file is missing, is not the one that the manifest lists, lies elsewhere, or a line of
        it is no such item.
    """
    name = review_path(str(entry["key"]))
    digest = entry["files"].get(name)
    if digest is None:
        return []
    _require_inside(root, name, name)
    path = Path(root, name)
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(
            f"{path} cannot be read: {reason_of(err)}. Score the input again."
        ) from None
    if sha256_of(content) != digest:
        raise DataError(
            f"{path} is not the file that the manifest lists: its SHA-256 differs. "
            "Run again; it is then scored again."
        )
    return [
        _read(line, root, f"{path}, line {number}") for number, line in enumerate(lines, start=1)
    ]


def _read(line: str, root: str | Path, where: str) -> ReviewItem:
    """Make an item of a line; what its page would follow or show must be what it claims to be."""
    try:
        item = from_json(ReviewItem, json.loads(line))
    except (ValueError, RecursionError, AttributeError) as err:
        raise DataError(
            f"{where}: no item for reviewers: {reason_of(err)}. Score the input again."
        ) from None
    image = item.image
    if image is not None:
        if image.heatmap_file is not None:
            _require_inside(root, image.heatmap_file, where)
        for content in (image.thumbnail, image.heat, image.reconstruction or ""):
            if not _BASE64.fullmatch(content):
                raise DataError(
                    f"{where}: an image that is not written in base64: {content[:20]!r}. "
                    "Score the input again."
                )
    return item


def _require_inside(root: str | Path, name: str, where: str) -> None:
    if leads_out(root, name):
        raise DataError(
            f"{where}: {name!r} leads out of the output folder. Score the input again, into a "
            "folder of its own."
        )
