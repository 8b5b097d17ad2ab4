"""What file names tell of parts, lots and cameras: ``part_0012_cam1.png``, ``part_0012_cam2.png``.

Names are cut into fields at separators and between letters and digits. A field that many images
share while other fields differ names what several images show, so it makes a group.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from vae_anomaly.data.doctor.looks import Look
from vae_anomaly.data.doctor.report import Finding, Severity, finding
from vae_anomaly.data.images.folders import ImageItem

COVERED: Final = 0.5
LEAST_GROUPS: Final = 5
MOST_PER_GROUP: Final = 50
_FIELD: Final = re.compile(r"(?:19|20)\d\d[-_.][01]\d[-_.][0-3]\d(?!\d)|\d+|[^\W\d_]+")
_PART_WORDS: Final = frozenset(
    {
        "part", "piece", "item", "sn", "serial", "id", "lot", "batch", "board", "panel", "wafer",
        "coil", "sheet", "unit", "sample", "day", "date", "shift", "teil", "charge", "los",
    }
)  # fmt: skip
_VIEW_WORDS: Final = frozenset(
    {
        "cam", "camera", "view", "side", "angle", "exp", "exposure", "light", "img", "image", "pic",
        "photo", "shot", "frame", "crop", "tile", "pose", "rot", "bild", "kamera", "seite",
    }
)  # fmt: skip


@dataclass(frozen=True)
class NameGroups:
    """Groups that names suggest.

    Attributes
    ----------
    example : str
        A field as it stands in a name, such as "part 0012".
    of : mapping of str to str
        Group of each image, by its id.
    """

    example: str
    of: Mapping[str, str]

    @property
    def sizes(self) -> Counter[str]:
        """Number of images of each group."""
        return Counter(self.of.values())


def groups_in_names(looks: Sequence[Look]) -> Iterator[Finding]:
    """Report names that say which images show the same part, where no group is given."""
    known = [look.item for look in looks if look.item.is_anomaly is not True]
    groups = suggested_by_names(looks)
    if groups is None:
        return
    training = [look.item for look in looks if look.is_training and look.item.id in groups.of]
    yield from _suggested(groups, training)
    yield from _crossing(groups, known)


def suggested_by_names(looks: Sequence[Look]) -> NameGroups | None:
    """Return the groups of good images by their names; None where there are some already."""
    known = [look.item for look in looks if look.item.is_anomaly is not True]
    if any(item.group for item in known):
        return None
    return name_groups(known) or name_groups([item for item in known if item.split != "test"])


def _suggested(groups: NameGroups, training: Sequence[ImageItem]) -> Iterator[Finding]:
    members: dict[str, list[str]] = defaultdict(list)
    for item in training:
        members[groups.of[item.id]].append(item.id)
    several = {group: ids for group, ids in members.items() if len(ids) > 1}
    if several:
        count = sum(map(len, several.values()))
        yield finding(
            Severity.WARNING,
            "groups_in_names",
            f"File names that seem to number parts, lots or days ({groups.example}): {count} "
            f"training images share theirs with another; {len(members)} groups in all.",
            "Train with --groups FILE, a table with the columns path, group "
            "(vae-anomaly data check DIR --groups-out FILE writes it): images of one part held "
            "out apart make p-values too small. If the names mean something else, leave it.",
            [f"{group}: {', '.join(ids[:3])}" for group, ids in several.items()],
        )


def _crossing(groups: NameGroups, known: Sequence[ImageItem]) -> Iterator[Finding]:
    """Report groups of which some images train and others test."""
    splits: dict[str, set[str | None]] = defaultdict(set)
    for item in known:
        if item.id in groups.of:
            splits[groups.of[item.id]].add(item.split)
    both = [group for group, where in splits.items() if {"train", "test"} <= where]
    if both:
        yield finding(
            Severity.WARNING,
            "groups_cross_split",
            f"Parts, lots or days, by file name, that are in training and in test at once: "
            f"{len(both)} of {len(splits)}.",
            "Split by part, so that every part is on one side only: else the test measures memory.",
            both,
        )


def name_groups(items: Sequence[ImageItem]) -> NameGroups | None:
    """Find the field of the names that says which images belong together.

    Returns
    -------
    NameGroups or None
        None where names are only numbered, or every field is shared by too many or too few.

    Examples
    --------
    >>> from pathlib import Path
    >>> names = [f"part_{p:04d}_cam{c}.png" for p in range(9) for c in (1, 2)]
    >>> found = name_groups([ImageItem(name, Path(name)) for name in names])
    >>> found.example, len(found.sizes), found.of["part_0003_cam2.png"]
    ('part 0000', 9, 'part 0003')
    """
    names = {item.id: _fields(item) for item in items}
    usual = Counter(len(fields) for fields in names.values()).most_common(1)
    if not usual or len({*names.values()}) < len(names):  # a counter that starts again elsewhere
        return None
    rows = {name: fields for name, fields in names.items() if len(fields) == usual[0][0]}
    if len(rows) < max(2 * LEAST_GROUPS, COVERED * len(names)):
        return None
    columns = list(zip(*rows.values(), strict=True))
    good = [place for place in range(len(columns)) if _groups_by(columns, place)]
    if not good:
        return None
    place = max(good, key=lambda k: (_rank(columns, k), len({*columns[k]})))
    word = _word_before(columns, place)
    of = {name: f"{word}{fields[place]}" for name, fields in rows.items()}
    return NameGroups(next(iter(of.values())), of)


def _fields(item: ImageItem) -> tuple[str, ...]:
    """Cut an image's path below its split and kind into fields."""
    parts = PurePosixPath(item.id).with_suffix("").parts
    parts = parts[1:] if item.split and parts[0] == item.split else parts
    parts = parts[1:] if item.kind and len(parts) > 1 and parts[0] == item.kind else parts
    return tuple(_FIELD.findall("/".join(parts).lower()))


def _groups_by(columns: Sequence[Sequence[str]], place: int) -> bool:
    """Tell whether a field groups images, neither each one alone nor nearly all together."""
    counts = Counter(columns[place])
    n = len(columns[place])
    shared = sum(count for count in counts.values() if count > 1)
    most = n // 3 if _rank(columns, place) == 2 else MOST_PER_GROUP
    fewest = 3 if _rank(columns, place) == 2 else LEAST_GROUPS
    return (
        columns[place][0][0].isdigit()
        and _rank(columns, place) > 0
        and len(counts) >= fewest
        and shared >= COVERED * n
        and n / len(counts) <= most
    )


def _rank(columns: Sequence[Sequence[str]], place: int) -> int:
    """Rate a field by its meaning: 2 = a part or a date, 1 = unknown, 0 = a camera or light."""
    word = _word_before(columns, place).strip()
    if word in _PART_WORDS or all(_is_date(value) for value in columns[place]):
        return 2
    return 0 if word in _VIEW_WORDS else 1


def _is_date(value: str) -> bool:
    """Tell a date such as 20240501 or 2024-05-01."""
    digits = re.sub(r"[-_.]", "", value)
    return bool(re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", digits))


def _word_before(columns: Sequence[Sequence[str]], place: int) -> str:
    """Return the word in front of a field, where it is the same in all names."""
    if place == 0 or len({*columns[place - 1]}) > 1 or columns[place - 1][0][0].isdigit():
        return ""
    return f"{columns[place - 1][0]} "
