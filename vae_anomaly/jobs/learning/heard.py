"""What reviewers said of items that nights have kept: each verdict once, from when it came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vae_anomaly.tracking.reviews.imports import FeedbackImport
from vae_anomaly.verdicts.kept import KeptItems
from vae_anomaly.verdicts.ledger import ItemVerdict

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Heard:
    """The verdicts that count.

    Parameters
    ----------
    verdicts : list of ItemVerdict
        In the order in which they came; of one item those that changed what was known of it.
    last : dict of int to dict of str to ItemVerdict
        By night and item what is known of it in the end.
    unknown : list of str
        Items that no night has kept, in the order in which they came.
    repeated : list of str
        Items whose name several nights have kept, in the order of the names.
    """

    verdicts: list[ItemVerdict] = field(default_factory=list)
    last: dict[int, dict[str, ItemVerdict]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    @property
    def judged(self) -> list[ItemVerdict]:
        """What is known of each item."""
        return [verdict for night in self.last.values() for verdict in night.values()]

    @property
    def late(self) -> int:
        """Items whose verdict came when a later night than theirs had been ranked already."""
        first = dict[tuple[int, str], int]()
        for verdict in self.verdicts:
            first.setdefault((verdict.night or 0, verdict.item), verdict.arrived)
        return sum(arrived > night + 1 for (night, _), arrived in first.items())

    def of_night(self, night: int) -> dict[str, ItemVerdict]:
        """Return what is known of the items of a night."""
        return self.last.get(night, {})


def heard(
    nights: Sequence[KeptItems], imports: Sequence[tuple[FeedbackImport, pd.DataFrame]]
) -> Heard:
    """Say of each verdict whose item it is on and from which night on it may be used.

    That is the night after the last one that had been ranked when it was imported, and after that
    of the item. The last verdict on an item counts: one that is older than what is known of it, by
    its own time, changes nothing.

    Parameters
    ----------
    nights : sequence of KeptItems
        Oldest first.
    imports : sequence of (FeedbackImport, DataFrame)
        As `imported_verdicts` gives them: oldest first.
    """
    began = {kept.facts.night: _time(kept.facts.scored_at) for kept in nights}
    homes = _homes(nights, judged_items(imports))
    said, told = Heard(), dict[tuple[int, str], datetime]()
    for source, frame in imports:
        following = 1 + max((n for n, when in began.items() if when <= source.when), default=-1)
        for row in _rows(frame):
            _hear(said, told, homes.get(row.item), row, following, source.run_id)
    said.unknown = list(dict.fromkeys(said.unknown))
    said.repeated = sorted(item for item, own in homes.items() if len(own) > 1)
    return said


def judged_items(imports: Iterable[tuple[FeedbackImport, pd.DataFrame]]) -> set[str]:
    """Return the items that there are verdicts on."""
    return {str(item) for _, frame in imports for item in frame["item"]}


def _homes(nights: Sequence[KeptItems], judged: set[str]) -> dict[str, list[int]]:
    """Return the nights that have kept each item, oldest first."""
    homes = dict[str, list[int]]()
    for kept in nights:
        for item in judged.intersection(kept.items.ids):
            homes.setdefault(item, []).append(kept.facts.night)
    return homes


@dataclass(frozen=True)
class _Row:
    item: str
    confirmed: bool
    audit: bool
    when: datetime


def _rows(frame: pd.DataFrame) -> Iterator[_Row]:
    import pandas as pd

    times = pd.to_datetime(frame["when"], utc=True)
    columns = (frame["item"], frame["is_anomaly"], frame["audit"], times)
    for item, confirmed, audit, when in zip(*columns, strict=True):
        yield _Row(str(item), bool(confirmed), bool(audit), when.to_pydatetime())


def _hear(
    said: Heard,
    told: dict[tuple[int, str], datetime],
    homes: Sequence[int] | None,
    row: _Row,
    following: int,
    source: str,
) -> None:
    if not homes:
        said.unknown.append(row.item)
        return
    night = max((home for home in homes if home < following), default=homes[0])
    key = night, row.item
    known = said.of_night(night).get(row.item)
    audit = row.audit or (known is not None and known.audit)
    verdict = ItemVerdict(row.item, row.confirmed, max(following, night + 1), night, audit, source)
    if known is not None and row.when < told[key]:
        return
    told[key], said.last.setdefault(night, {})[row.item] = row.when, verdict
    if known is None or known.confirmed != row.confirmed:
        said.verdicts.append(verdict)


def _time(text: str) -> datetime:
    """Read when a run began; what does not say so was there before every verdict."""
    if not text:
        return datetime.min.replace(tzinfo=UTC)
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)
