"""Two runs over the same items side by side: which items changed sides, and how ranks differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from vae_anomaly.metrics import Interval
from vae_anomaly.thresholds.compare import Sides

MAX_MOVED: Final = 200
"""Items that each list shows at most."""


@dataclass(frozen=True)
class ComparedRun:
    """One side of a comparison.

    Parameters
    ----------
    name : str
        Of the folder, or of the model where models are compared.
    models : tuple of str
        Versions that scored there.
    thresholds : tuple of float
        Those in force, rising; an item was flagged when its score was above that of its part.
    n_scored, n_flagged : int
        Of all its items, those included that the other side does not have.
    n_alone : int
        Items that the other side does not have.
    flagged_alone : int
        How many of them were flagged.
    examples_alone : tuple of str
        Ids of some of them, the highest scores first.
    """

    name: str
    models: tuple[str, ...]
    thresholds: tuple[float, ...]
    n_scored: int
    n_flagged: int
    n_alone: int = 0
    flagged_alone: int = 0
    examples_alone: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparedItem:
    """An item that one side flagged and the other did not.

    Parameters
    ----------
    id : str
    part : str
        Key of its partition, where ids repeat from part to part; else empty.
    score_a, score_b : float
        -log10 p, higher = more anomalous.
    place_a, place_b : int
        Among the items that both sides have; 1 = the highest score.
    reasons_a, reasons_b : tuple of str
        The most important first; of items that were flagged.
    thumbnail : str
        WebP in base64, of images that a run kept.
    """

    id: str
    score_a: float
    score_b: float
    place_a: int
    place_b: int
    part: str = ""
    reasons_a: tuple[str, ...] = ()
    reasons_b: tuple[str, ...] = ()
    thumbnail: str = ""


@dataclass(frozen=True)
class RankMap:
    """Places of one side against places of the other; the first is the strangest item.

    Parameters
    ----------
    edges : tuple of K + 1 float
        Of the bins of places, from 1 to N + 1, even on a log axis.
    cells : tuple of (int, int, int)
        Bin of a, bin of b, and how many items, where there are any.
    points : tuple of (int, int, int)
        Place in a, place in b, and who flagged it: 0 neither, 1 a, 2 b, 3 both.
    is_complete : bool
        The points are all items; else those that a side flagged, as many as are shown.
    """

    edges: tuple[float, ...]
    cells: tuple[tuple[int, int, int], ...]
    points: tuple[tuple[int, int, int], ...]
    is_complete: bool


@dataclass(frozen=True)
class Overlap:
    """How many of the ``k`` strangest items of one side are among the ``k`` of the other."""

    k: int
    shared: int
    by_chance: float  # what two unrelated rankings would share


@dataclass(frozen=True)
class CompareFacts:
    """Everything on the page of a comparison.

    Parameters
    ----------
    a, b : ComparedRun
    kind : {"tabular", "image"}
    n_common : int
        Items that both have; all that follows counts these.
    sides : Sides
        Who flagged them.
    correlation : Interval in [-1, 1]
        Spearman's, of the scores.
    overlaps : tuple of Overlap
    ranks : RankMap
    moved_a, moved_b : tuple of ComparedItem
        Flagged by a only, and by b only; the highest score of who flagged it first.
    notes : tuple of str
        What the reader should know of how items were matched.
    """

    a: ComparedRun
    b: ComparedRun
    kind: Literal["tabular", "image"]
    n_common: int
    sides: Sides
    correlation: Interval
    overlaps: tuple[Overlap, ...]
    ranks: RankMap
    moved_a: tuple[ComparedItem, ...]
    moved_b: tuple[ComparedItem, ...]
    notes: tuple[str, ...] = ()
