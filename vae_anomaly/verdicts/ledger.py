"""What is kept between nights: a few items as they were when scored, and what people said of them.

Numbers and ids only. Everything that is learned follows from it, so a verdict that is withdrawn is
gone without a trace, and one that came late changes nothing that was said before it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.errors import DataError
from vae_anomaly.files import sha256_of
from vae_anomaly.words import names_of, number_of

SAMPLED_NIGHTS: Final = 90
"""Nights of which unreviewed items are kept; reviewed ones are kept for good."""
Scorer = tuple[str, tuple[str, ...]]
"""A model's digest, and the names of the features that it gives."""


@dataclass(frozen=True)
class NightItems:
    """The scored items of a night.

    Parameters
    ----------
    night : int
        Counts nights, in days: 739,000 is a day of 2024.
    ids : sequence of N str
    features : ndarray of shape (N, F), float64
        Column 0 is the raw score, in nats; NaN is a missing value.
    names : tuple of F str
        What the features are called.
    entities : mapping of str to sequence of N str
        By column, which value each item has: terminal, machine, camera; an empty one is none.
    model : str
        The digest of the detector that scored them: scores of two models are not compared.
    """

    night: int
    ids: Sequence[str]
    features: Floats
    names: tuple[str, ...]
    entities: Mapping[str, Sequence[str]] = field(default_factory=dict)
    model: str = ""

    def __post_init__(self) -> None:
        n = len(self.ids)
        if self.features.shape != (n, len(self.names)):
            raise DataError(
                f"{n} items and {len(self.names)} names of features do not fit an array of shape "
                f"{self.features.shape}. Give one row for each item, one column for each name."
            )
        short = [name for name, values in self.entities.items() if len(values) != n]
        if short:
            raise DataError(f"The entities {names_of(short)} need one value for each of {n} items.")
        if not np.isfinite(self.features[:, 0]).all():
            raise DataError("Every item needs a raw score; set aside those that have none.")

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.ids)

    @property
    def scorer(self) -> Scorer:
        """What gave the features."""
        return self.model, tuple(self.names)

    def take(self, rows: Sequence[int]) -> NightItems:
        """Return some of the items."""
        return NightItems(
            self.night, [self.ids[i] for i in rows], self.features[list(rows)], self.names,
            {name: [values[i] for i in rows] for name, values in self.entities.items()},
            self.model,
        )  # fmt: skip


@dataclass(frozen=True)
class KeptNight:
    """What is kept of a night: items to be reviewed or that stand for the others, and its scores.

    Parameters
    ----------
    items : NightItems
    stands : ndarray of shape (K,), bool
        Drawn at random, to stand for all items that nobody has looked at.
    n_items : int
        How many the night had.
    reference : NightItems
        Drawn at random from all, to compare later items with.
    offset : float
        What to take off raw scores to have log-odds, as long as nothing is learned.
    model : str
        The digest of the detector that scored it; by default that of its items.
    """

    items: NightItems
    stands: Bools
    n_items: int
    reference: NightItems
    offset: float
    model: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", self.model or self.items.model)

    @property
    def scorer(self) -> Scorer:
        """What gave the features."""
        return self.model, tuple(self.items.names)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each item stands."""
        return {item: place for place, item in enumerate(self.items.ids)}

    @cached_property
    def reference_places(self) -> dict[str, int]:
        """Where each item of the reference stands."""
        return {item: place for place, item in enumerate(self.reference.ids)}

    def digest(self) -> str:
        """Return a SHA-256 of everything here."""
        return self.digest_of(list(range(len(self.items))))

    def digest_of(self, rows: Sequence[int]) -> str:
        """Return a SHA-256 of some of the items, and of the facts of the night."""
        items = self.items.take(rows)
        entities = [f"{name}={values}" for name, values in sorted(items.entities.items())]
        return sha256_of(
            f"{items.night} {list(items.ids)} {items.names} {entities}",
            f"{self.n_items} {self.offset!r} {self.model}",
            np.ascontiguousarray(items.features, "<f8").tobytes(),
            self.stands[list(rows)].tobytes(),
        )


@dataclass(frozen=True)
class ItemVerdict:
    """What a reviewer said of an item.

    Parameters
    ----------
    item : str
    confirmed : bool
        True = anomaly, False = false alarm, or an audited item that is fine.
    arrived : int
        The night from which on it may be used.
    night : int, optional
        The night whose item it is; by default the last one before it arrived that had such an id.
    audit : bool
        Reviewed because drawn at random.
    source : str
        The import that brought it: what is withdrawn together.
    """

    item: str
    confirmed: bool
    arrived: int
    night: int | None = None
    audit: bool = False
    source: str = ""


@dataclass
class VerdictLedger:
    """Nights and verdicts, in the order in which they came."""

    nights: dict[int, KeptNight] = field(default_factory=dict)
    verdicts: list[ItemVerdict] = field(default_factory=list)

    @property
    def last_night(self) -> int | None:
        """The last night that was kept."""
        return max(self.nights, default=None)

    def keep(self, kept: KeptNight) -> None:
        """Add a night; one that is there already is replaced only by itself.

        Raises
        ------
        DataError
            If it comes before a night that is kept, or is another than the one of that number.
        """
        night, last = kept.items.night, self.last_night
        if night in self.nights:
            if self.nights[night].digest() != kept.digest():
                raise DataError(f"Night {night} is kept already, with other items.")
            return
        if last is not None and night < last:
            raise DataError(f"Night {night} comes after night {last}, which is kept already.")
        self.nights[night] = kept

    def add(self, verdicts: Iterable[ItemVerdict]) -> int:
        """Add verdicts, each once; return how many were new.

        A verdict counts from the first night on that was not ranked before it came.

        Raises
        ------
        DataError
            If an item is none of those that were kept; nothing is added then.
        """
        following = 0 if self.last_night is None else self.last_night + 1
        known = {(v.item, v.night, v.source): v for v in self.verdicts}
        new, unknown = list[ItemVerdict](), list[str]()
        for verdict in verdicts:
            night = self._night_of(verdict)
            if night is None:
                unknown.append(verdict.item)
                continue
            same = known.get((verdict.item, night, verdict.source))
            if same is not None and same.confirmed == verdict.confirmed:
                continue
            arrived = max(verdict.arrived, night + 1, following)
            new.append(
                ItemVerdict(
                    verdict.item, verdict.confirmed, arrived, night, verdict.audit, verdict.source
                )
            )
        if unknown:
            raise DataError(
                f"{number_of(len(unknown), 'item')} of the verdicts were never kept to learn from: "
                f"{names_of(unknown)}. Import verdicts on items that `feedback sample` listed."
            )
        self.verdicts += new
        return len(new)

    def withdraw(self, source: str) -> int:
        """Take away what one import brought; return how many verdicts that were."""
        left = [verdict for verdict in self.verdicts if verdict.source != source]
        taken = len(self.verdicts) - len(left)
        self.verdicts = left
        return taken

    def _night_of(self, verdict: ItemVerdict) -> int | None:
        """Return the night whose item a verdict is on; None where there is none."""
        nights = [verdict.night] if verdict.night is not None else sorted(self.nights, reverse=True)
        return next(
            (
                night
                for night in nights
                if night in self.nights and verdict.item in self.nights[night].places
            ),
            None,
        )
