"""One night out of several runs: what each has kept, put together by the ids of items."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from itertools import groupby
from typing import Final

import numpy as np

from vae_anomaly.tracking.reviews.kept import KeptFile
from vae_anomaly.verdicts.kept import KeptItems, kept_among, read_kept_items
from vae_anomaly.verdicts.ledger import NightItems

_COLUMNS = ("likely", "high", "drawn", "draw", "score", "p_value", "p_combined", "surprise")


WHOLE_NIGHTS: Final = 30
"""The last nights, of which all that is kept is read; of others what a learner needs."""


def read_nights(files: Sequence[KeptFile], judged: Collection[str]) -> list[KeptItems]:
    """Read what nights have kept, oldest first: each night once.

    Of two runs of a night by one detector the items are put together, and what is said of an item
    twice is what the later run said. Another detector's run replaces the earlier one.

    Parameters
    ----------
    files : sequence of KeptFile
        Oldest first, as `kept_nights` gives them.
    judged : collection of str
        Ids that there are verdicts on.
    """
    whole = sorted({file.night for file in files})[-WHOLE_NIGHTS:]
    return [
        merged(
            [
                _dated(read_kept_items(file.path, None if night in whole else judged), night)
                for file in of_night
            ]
        )
        for night, of_night in groupby(files, key=lambda file: file.night)
    ]


def never_kept(files: Sequence[KeptFile], items: Collection[str]) -> list[str]:
    """Return the items that no night has kept, in their order.

    Parameters
    ----------
    files : sequence of KeptFile
    items : collection of str
    """
    left = dict.fromkeys(items)
    for file in reversed(files):
        if not left:
            break
        for item in kept_among(file.path, left):
            left.pop(item, None)
    return list(left)


def merged(runs: Sequence[KeptItems]) -> KeptItems:
    """Put the runs of a night together, the earliest first."""
    whole = runs[0]
    for later in runs[1:]:
        whole = _with(whole, later) if whole.items.scorer == later.items.scorer else later
    return whole


def _dated(kept: KeptItems, night: str) -> KeptItems:
    """Return the items as those of their run's night."""
    number = date.fromisoformat(night).toordinal()
    return replace(
        kept, facts=replace(kept.facts, night=number), items=replace(kept.items, night=number)
    )


def _with(earlier: KeptItems, later: KeptItems) -> KeptItems:
    """Add to a run the items of an earlier one that it has not; its own facts count.

    Runs of other items add up; one that has scored the same again has as many as the larger.
    """
    known = set(later.items.ids)
    rows = [row for row, item in enumerate(earlier.items.ids) if item not in known]
    again = len(rows) < len(earlier)
    sizes = (earlier.facts.n_items, later.facts.n_items)
    items = _joined(earlier.items.take(rows), later.items)
    order = sorted(range(len(items)), key=lambda place: items.ids[place])
    columns = {
        name: np.concatenate([getattr(earlier, name)[rows], getattr(later, name)])[order]
        for name in _COLUMNS
    }
    facts = replace(later.facts, n_items=max(sizes) if again else sum(sizes))
    return KeptItems(facts, items.take(order), **columns)


def _joined(first: NightItems, second: NightItems) -> NightItems:
    """Put items of one detector together; a column that one of them has not says nothing there."""
    names = list(dict.fromkeys([*first.entities, *second.entities]))
    entities = {
        name: [
            *first.entities.get(name, [""] * len(first)),
            *second.entities.get(name, [""] * len(second)),
        ]
        for name in names
    }
    return NightItems(
        second.night, [*first.ids, *second.ids], np.concatenate([first.features, second.features]),
        second.names, entities, second.model,
    )  # fmt: skip
