"""A morning's sheet: which items of a night people look at, and why each of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vae_anomaly.arrays import Ints
from vae_anomaly.batch import read_manifest
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.names import typed
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.tracking.nights import LEARN_FILE
from vae_anomaly.verdicts.kept import MOST_KEPT, KeptItems, read_kept_items

if TYPE_CHECKING:
    import pandas as pd

_BY_SCORE: Final = "by its score"


@dataclass(frozen=True)
class ReviewSheet:
    """What people are asked about a night.

    Parameters
    ----------
    frame : DataFrame
        A row an item: ``item, verdict`` (empty), ``audit`` (yes = drawn at random), ``why, score,
        p_value, p_combined, probability``; the last is empty until the evidence is learned from.
    model : str
        The version that scored: ``cards/3``.
    likely, unusual, audits, items : int
        Rows of each kind; items of the night.
    learned : bool
        Whether the night was ranked by what was learned.
    """

    frame: pd.DataFrame
    model: str
    likely: int
    unusual: int
    audits: int
    items: int
    learned: bool


def review_sheet(
    flags: str | Path, capacity: int = 100, reserve: int = 10, audit: int = 15
) -> ReviewSheet:
    """Choose the items of a night that people look at in the morning.

    Parameters
    ----------
    flags : str or Path
        Output folder of a run with ``--learn``.
    capacity : int
        Items, without the audits.
    reserve : int
        How many of these are taken by raw score, from what is not among the likely ones: a new
        kind of anomaly must still be found.
    audit : int
        Items drawn from all others, each as likely as any.

    Raises
    ------
    ConfigError
        If there are more than a night keeps, or a larger reserve than the capacity.
    DataError
        If the folder holds no finished run, or one that has kept nothing.
    """
    _check(capacity, reserve)
    root = Path(on_disk(flags))
    parts = [root / part["output"] for part in read_manifest(root)["partitions"]]
    if not (root / LEARN_FILE).is_file():
        raise DataError(
            f"{flags} has no {LEARN_FILE}, from which a sheet is made. Score the night with "
            "--learn, or name the model instead: vae-anomaly feedback sample MODEL --scores "
            f"{typed(str(flags))}"
        )
    kept = read_kept_items(root / LEARN_FILE)
    likely, unusual, audits = chosen_places(kept, capacity, reserve, audit)
    told = _told({kept.items.ids[place] for place in [*likely, *unusual]}, parts)
    why = [
        *(f"likely: {told.get(kept.items.ids[i], (None, None))[0] or _BY_SCORE}" for i in likely),
        *(f"unusual: {told.get(kept.items.ids[i], (None, None))[1] or _BY_SCORE}" for i in unusual),
        *("at random" for _ in audits),
    ]
    places = np.concatenate([likely, unusual, audits])
    return ReviewSheet(
        _frame(kept, places, why, len(audits)), kept.facts.version, len(likely), len(unusual),
        len(audits), kept.facts.n_items, bool(kept.facts.stage),
    )  # fmt: skip


def chosen_places(
    kept: KeptItems, capacity: int, reserve: int, audit: int
) -> tuple[Ints, Ints, Ints]:
    """Return places of the likely items, of the unusual ones, and of those drawn: each once."""
    likely, by_score = kept.order[: capacity - reserve], kept.order_by_score
    unusual = by_score[~np.isin(by_score, likely)][:reserve]
    others = np.flatnonzero(kept.drawn)
    others = others[~np.isin(others, [*likely, *unusual])]
    return likely, unusual, others[np.argsort(kept.draw[others], kind="stable")[:audit]]


def _check(capacity: int, reserve: int) -> None:
    if capacity > MOST_KEPT:
        raise ConfigError(
            f"A capacity of {capacity:,} is more than a night keeps: its {MOST_KEPT:,} likeliest "
            "items. Give --capacity of at most that; all flags of the night are in its parts."
        )
    if reserve > capacity:
        raise ConfigError(
            f"A reserve of {reserve:,} is part of the capacity, which is {capacity:,}. Give a "
            "smaller --reserve."
        )


def _told(wanted: Collection[str], parts: list[Path]) -> dict[str, tuple[str | None, str | None]]:
    """Return what the parts tell of some items: what was learned of them, and the first reason."""
    told = dict[str, tuple[str | None, str | None]]()
    for part in parts:
        with part.open("rb") as file:
            names = set(pq.read_schema(file).names)
            columns = [name for name in ("why", "reason_1") if name in names]
            table = pq.read_table(file, columns=["id", *columns])
        found = table.filter(pc.is_in(table["id"], value_set=pa.array(list(wanted))))
        none = [None] * len(found)
        why, reason = (
            found[name].to_pylist() if name in columns else none for name in ("why", "reason_1")
        )
        told |= dict(zip(found["id"].to_pylist(), zip(why, reason, strict=True), strict=True))
    return told


def _frame(kept: KeptItems, places: Ints, why: list[str], audits: int) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "item": [kept.items.ids[place] for place in places],
            "verdict": "",
            "audit": ["no"] * (len(places) - audits) + ["yes"] * audits,
            "why": why,
            "score": kept.score[places],
            "p_value": kept.p_value[places],
            "p_combined": kept.p_combined[places],
            "probability": kept.probability[places] if kept.facts.has_head else None,
        }
    )
