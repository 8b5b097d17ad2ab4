"""One item as reviewers see it: kept by the run that scored it, so that a page needs no model.

A run keeps three kinds of items of each partition: the flagged ones with the highest scores, the
highest of those that were not flagged, and some of the others drawn at random, for an audit. All of
them are plain values: a line of JSON each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ReviewRole = Literal["flagged", "near_miss", "audit"]
"""Why an item is shown: flagged, a nearest miss, or drawn at random from all not flagged."""

THUMBNAIL_SIDE: Final = 384
"""Pixels of the longer side of a kept image."""

MAP_SIDE: Final = 96
"""Cells of the longer side of a kept map."""


@dataclass(frozen=True)
class ShownRegion:
    """A part of an image above the level of its map.

    Parameters
    ----------
    left, top, right, bottom : int, pixels of the image itself
        Right and bottom are exclusive.
    area_share : float in (0, 1]
    peak, mean : float, sd of held-out normals
    peak_x, peak_y : float, pixels, optional
        Where it is hottest; earlier versions did not keep it.
    """

    left: int
    top: int
    right: int
    bottom: int
    area_share: float
    peak: float
    mean: float
    peak_x: float | None = None
    peak_y: float | None = None


@dataclass(frozen=True)
class ShownImage:
    """What is looked at of an image.

    Parameters
    ----------
    folder : str
        Where it lies below the input; empty at its top.
    source : str
        Its path, where it was scored.
    width, height : int, pixels
        Of the image itself.
    thumbnail : str
        WebP in base64, its longer side at most `THUMBNAIL_SIDE` pixels.
    heat : str
        Its map as grey PNG of 8 bits in base64, 0 to 255 over `HEAT_RANGE` (sd of held-out
        normals), its longer side at most `MAP_SIDE`.
    contours : tuple of tuple of float
        Outlines of the map at the level: x and y in turn, as shares of width and height.
    regions : tuple of ShownRegion
        The hottest first.
    level : float, sd
        Above it a region begins.
    reconstruction : str, optional
        What the model expected instead: WebP in base64; of models that have one.
    heatmap_file : str, optional
        The overlay that was drawn, below the output folder.
    """

    folder: str
    source: str
    width: int
    height: int
    thumbnail: str
    heat: str
    contours: tuple[tuple[float, ...], ...]
    regions: tuple[ShownRegion, ...]
    level: float
    reconstruction: str | None = None
    heatmap_file: str | None = None


@dataclass(frozen=True)
class ShownContribution:
    """What one column adds to the score of a row.

    Parameters
    ----------
    column : str
    nats : float
        Above 0 it speaks for an anomaly, below 0 against one.
    value : str
        The cell, as text.
    expected : str
        What the rest of the row lets one expect, in the units of the table; empty where nothing
        can be said.
    typical : str
        What is usual: ``20 to 180``, or the most frequent values.
    """

    column: str
    nats: float
    value: str
    expected: str = ""
    typical: str = ""


@dataclass(frozen=True)
class ShownPast:
    """The last values of an entity before a row, the oldest first, and that of the row."""

    entity: str  # "machine 7"; "this customer" where the key is a person's
    column: str
    values: tuple[float, ...]
    value: float


@dataclass(frozen=True)
class ShownRow:
    """What is looked at of a row.

    Parameters
    ----------
    file : str
        Of its table.
    row : int
        Counted from 1.
    explained : float, nats
        The raw score; contributions and rest sum to it.
    contributions : tuple of ShownContribution
        The largest first, whatever their sign.
    rest : float, nats
        What all other columns add.
    cells : tuple of (str, str)
        The row as it was read, without what the schema marks as identifier, person or place, and
        without columns that it does not know.
    past : tuple of ShownPast
        Of models with entities.
    source : str
        The path of its table, where it was scored.
    left_out : tuple of {"cells", "past"}
        What a page has no room for.
    """

    file: str
    row: int
    explained: float
    contributions: tuple[ShownContribution, ...]
    rest: float = 0.0
    cells: tuple[tuple[str, str], ...] = ()
    past: tuple[ShownPast, ...] = ()
    source: str = ""
    left_out: tuple[Literal["cells", "past"], ...] = ()


@dataclass(frozen=True)
class ReviewItem:
    """One item with all that a reviewer needs to judge it.

    Parameters
    ----------
    id : str
    score : float
        -log10 p, higher = more anomalous.
    p_value : float in (0, 1]
    is_anomaly : bool
        Flagged at the threshold of its run.
    roles : tuple of ReviewRole
    draw : float in [0, 1)
        From its id alone, uniform: the items with the smallest are a random sample.
    words : str
        The score in words: "as strange as 1 in 251 normal rows".
    reasons : tuple of str
        The most important first.
    probability : float in [0, 1], optional
        Of an anomaly, by models that know it.
    learned : float in [0, 1], optional
        Of an anomaly, by what reviewers' verdicts had taught the run; a page fills it in.
    image, row : optional
        One of them.
    """

    id: str
    score: float
    p_value: float
    is_anomaly: bool
    roles: tuple[ReviewRole, ...]
    draw: float
    words: str = ""
    reasons: tuple[str, ...] = ()
    probability: float | None = None
    learned: float | None = None
    image: ShownImage | None = None
    row: ShownRow | None = None
