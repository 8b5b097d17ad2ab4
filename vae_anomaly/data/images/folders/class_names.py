"""What the name of a folder or kind says: good, defective, a part of a data set, or none of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from string import digits
from typing import Final, Literal

from vae_anomaly.data.images.folders.class_words import (
    CODED,
    CODES,
    DEFECT,
    DEFECT_ALONE,
    FALSE,
    FILLERS,
    FREE,
    GOOD,
    GOOD_ALONE,
    NEGATORS,
    PARTS,
    UNSORTED,
    VIEWPOINTS,
    fold,
)
from vae_anomaly.names import as_windows_reads

Says = Literal["good", "defect", "unsorted", "plain", "code", "nothing"]
MOST_CODES: Final = 10

_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_EAST_ASIAN: Final = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_TOKEN: Final = re.compile(
    rf"\d+|{_EAST_ASIAN.pattern}+|[^\W\d_]+?(?={_EAST_ASIAN.pattern}|[\W\d_]|$)"
)
_SIGNS: Final = re.compile(r"[\W_]+")
_LONGEST: Final = 3  # words that stand for one: "in ordnung", "n. i. O."


@dataclass(frozen=True)
class FolderName:
    """What a name says.

    Parameters
    ----------
    says : {"good", "defect", "unsorted", "plain", "code", "nothing"}
        "plain": a camera, lot, date or number; "code": one of two or more classes, such as
        ``pos`` or ``class_1``, but not which.
    is_whole : bool
        Whether it says nothing besides: ``good`` is whole, ``good_front`` is not.
    part : {"train", "test", "val"}, optional
        The part of a data set that it names.
    is_numbered : bool
        Whether a number stands beside: ``test2017`` is a part only beside one for training.
    """

    says: Says
    is_whole: bool = True
    part: str | None = None
    is_numbered: bool = False


@cache
def read_name(name: str) -> FolderName:
    """Read the name of a folder, in any case, with signs and numbers, in several languages.

    Examples
    --------
    >>> [read_name(name).says for name in ("Good parts", "n.i.O.", "no defect", "NODefect_images")]
    ['good', 'defect', 'good', 'good']
    >>> [read_name(name).says for name in ("cam1", "2024-05-01", "bolts", "normal_light")]
    ['plain', 'plain', 'nothing', 'plain']
    >>> read_name("OK_front").is_whole, read_name("test_bad").part, read_name("test_rig").part
    (False, 'test', None)
    """
    tokens = _tokens(as_windows_reads(name))
    if len(tokens) > 1 and tokens[0] in FALSE:
        return FolderName("unsorted")
    found, rest = _marks(tokens)
    part, others = _part_of(rest)
    numbered = any(token.isdigit() for token in tokens)
    if len(found) == 1 and _tells(found, others):
        return FolderName("good" if True in found else "defect", not others, part, numbered)
    if not found and others and _alone(others) is not None:
        return FolderName("good" if _alone(others) else "defect", True, part, numbered)
    return FolderName(_without_class(tokens, others), True, part, numbered)


def is_defective(name: str) -> bool:
    """Tell whether a folder is called defective."""
    return read_name(name).says == "defect"


def names_nothing(name: str) -> bool:
    """Tell whether a name is a word that is no class, camera, lot, date or number."""
    return bool(name) and read_name(name).says == "nothing"


def file_says_defective(stem: str) -> bool:
    """Tell whether the name of a file says defective among other words, as a line writes results.

    Only words that stand for themselves count: digests of digits and letters say nothing.

    Examples
    --------
    >>> [file_says_defective(n) for n in ("SN17_NG", "crack001", "SN17_no_defect", "SN17_OK")]
    [True, True, False, False]
    >>> [file_says_defective(n) for n in ("color_0001", "17_jpg.rf.3def9ab", "def-front-ok")]
    [False, False, False]
    """
    first, *others = _SIGNS.split(as_windows_reads(stem))
    words = [first.rstrip(digits), *others]
    plain = [word for word in words if not any(sign.isdigit() for sign in word)]
    found, _ = _marks([token for word in plain for token in _tokens(word)])
    return found == {False}


def are_codes(names: Iterable[str]) -> bool:
    """Tell whether names that stand beside each other are codes of classes.

    These are numbers from 0 on, ``-1`` and ``1``, pairs such as ``pos`` and ``neg``, single letters
    (left and right are none), and numbered or lettered classes.

    Examples
    --------
    >>> are_codes(["0", "1"]), are_codes(["pos", "neg"]), are_codes(["class_a", "class_b"])
    (True, True, True)
    >>> are_codes(["1", "2", "3"]), are_codes(["00", "01"]), are_codes(["cam0", "cam1"])
    (False, False, False)
    """
    given = {name.strip() for name in names}
    if len(given) < 2:
        return False
    if given <= {*map(str, range(MOST_CODES)), "-1"}:
        return given == {"-1", "1"} or given == {str(i) for i in range(len(given))}
    return all(read_name(name).says == "code" for name in given)


def _tokens(name: str) -> tuple[str, ...]:
    return tuple(fold(token) for token in _TOKEN.findall(_CAMEL.sub(" ", name)))


def _marks(tokens: Sequence[str]) -> tuple[set[bool], list[str]]:
    """Return what plain words say, True = good, and the words that are left."""
    found: set[bool] = set()
    rest: list[str] = []
    place = 0
    while place < len(tokens):
        negated = tokens[place] in NEGATORS
        good, length = _plain_word(tokens, place + negated)
        if good is None:
            rest += [] if tokens[place].isdigit() else [tokens[place]]
            place += 1
            continue
        place += length + negated
        if not good and place < len(tokens) and tokens[place] in FREE:
            good, place = True, place + 1
        found.add(good != negated)
    return found, rest


def _plain_word(tokens: Sequence[str], place: int) -> tuple[bool | None, int]:
    """Return what the longest plain word at a place says, and of how many tokens it is."""
    for length in range(min(_LONGEST, len(tokens) - place), 0, -1):
        word = "".join(tokens[place : place + length])
        if word in DEFECT:
            return False, length
        if word in GOOD or (word == "io" and length > 1):
            return True, length
        if length == 1 and (within := _east_asian(word)) is not None:
            return within, 1
        if length == 1 and (inner := _compound(word)) is not None:
            return inner, 1
    return None, 0


def _east_asian(word: str) -> bool | None:
    """Find a word in a script that writes no blanks; the longest is taken first."""
    if not _EAST_ASIAN.search(word):
        return None
    found = set()
    for known in sorted(GOOD | DEFECT, key=len, reverse=True):
        if _EAST_ASIAN.search(known) and known in word:
            found.add(known in GOOD)
            word = word.replace(known, " ")
    return found.pop() if len(found) == 1 else None


def _compound(word: str) -> bool | None:
    """Read what is written in one: ``nodefect``, ``notok``, ``nonconforming``, ``crackfree``."""
    for negator in (*NEGATORS, "un"):
        inner = word.removeprefix(negator)
        if len(negator) > 1 and inner != word and (inner in GOOD or inner in DEFECT):
            return inner in DEFECT
    for ending in FREE:
        if word.endswith(ending) and word.removesuffix(ending) in DEFECT:
            return True
    return None


def _part_of(rest: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the part of a data set that a name means, and the words that are left over."""
    others = [word for word in rest if word not in FILLERS]
    parts = {PARTS[word] for word in others if word in PARTS}
    if len(parts) != 1 or any(word not in PARTS for word in others):
        return None, others
    return parts.pop(), []


def _tells(found: set[bool], others: Sequence[str]) -> bool:
    """Tell a class from a way to take images: normal light is none."""
    return False in found or not any(word in _CONTEXTS for word in others)


_CONTEXTS: Final = fold(
    "light lighting illumination exposure view angle field map mode speed gain lens"
).split()


def _alone(others: Sequence[str]) -> bool | None:
    """Return what words say that tell only where nothing stands beside them."""
    word = "".join(others)
    if word in GOOD_ALONE:
        return True
    return False if word in DEFECT_ALONE else None


def _without_class(tokens: Sequence[str], others: Sequence[str]) -> Says:
    if any(word in UNSORTED for word in others):
        return "unsorted"
    word = "".join(tokens)
    if (
        word in CODES
        or (len(word) == 1 and word.isalpha() and word not in VIEWPOINTS)
        or (
            len(tokens) == 2 and tokens[0] in CODED and (tokens[1].isdigit() or len(tokens[1]) == 1)
        )
    ):
        return "code"
    if any(token.isdigit() for token in tokens) or any(word in VIEWPOINTS for word in others):
        return "plain"
    return "nothing" if others else "unsorted"
