"""What a scoring run keeps to learn from, in one parquet file: numbers, codes and ids of items.

Of a night or of a part of it: the likeliest items, those with the highest scores, and a uniform
sample. Bounded, whatever the night; no cell is kept, and of entities a code.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Container
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vae_anomaly.arrays import Bools, Floats, Ints
from vae_anomaly.errors import DataError
from vae_anomaly.files import replace_file
from vae_anomaly.state import from_json
from vae_anomaly.verdicts.learned import ranked_by
from vae_anomaly.verdicts.learner import SAMPLE
from vae_anomaly.verdicts.ledger import KeptNight, NightItems
from vae_anomaly.words import reason_of

_FORMAT: Final = 1
MOST_KEPT: Final = 1_000
"""Items that are kept for their probability, and as many for their score."""
_META: Final = b"vae_anomaly.kept"
_FEATURE, _ENTITY = "feature: ", "entity: "


@dataclass(frozen=True)
class KeptFacts:
    """What holds for all items that are kept.

    Parameters
    ----------
    night : int
        As `NightItems` has it; 0 for a part, which does not know its night.
    n_items : int
        How many were scored.
    offset : float
        As `KeptNight` has it.
    scorer : str
        The detector, as `NightItems.model` has it.
    version : str
        The version that scored: ``cards/3``.
    stage : str
        Digest of the second stage that judged; empty where nothing was learned.
    has_head : bool
        Whether verdicts have taught of the evidence. Before, a probability takes scores at their
        word, and is good for an order only.
    scored_at : str
        When the run began: ISO 8601, UTC. Verdicts that came later were not known.
    """

    night: int
    n_items: int
    offset: float
    scorer: str
    version: str
    stage: str = ""
    scored_at: str = ""
    has_head: bool = False
    format_version: int = field(default=_FORMAT)


@dataclass(frozen=True)
class KeptItems:
    """Scored items that are kept, K of them, in the order of their ids.

    Parameters
    ----------
    facts : KeptFacts
    items : NightItems
        Entities as codes.
    likely, high, drawn : ndarray of shape (K,), bool
        Kept for their probability, for their raw score, and drawn at random.
    draw : ndarray of shape (K,), float64
        In [0, 1), from the id alone; those with the smallest are drawn.
    score, p_value, p_combined, surprise : ndarray of shape (K,), float64
        As the run gave them.
    """

    facts: KeptFacts
    items: NightItems
    likely: Bools
    high: Bools
    drawn: Bools
    draw: Floats
    score: Floats
    p_value: Floats
    p_combined: Floats
    surprise: Floats

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self.items)

    @property
    def probability(self) -> Floats:
        """Probability of an anomaly, in [0, 1]."""
        return np.asarray(-np.expm1(-self.surprise))

    @property
    def order(self) -> Ints:
        """Places of the items, the most likely anomaly first; ties by the raw score."""
        return ranked_by(self.surprise, self.items.features[:, 0])

    @property
    def order_by_score(self) -> Ints:
        """Places of the items, the highest raw score first; ties by what was learned."""
        return ranked_by(self.items.features[:, 0], self.surprise)

    def night(self, judged: Container[str] = ()) -> KeptNight:
        """Return what a learner takes of them; ``judged`` has the ids that there are verdicts on.

        Of the uniform sample the first `SAMPLE` stand for all that nobody looks at.
        """
        stands = np.zeros(len(self), np.bool_)
        drawn = np.flatnonzero(self.drawn)
        stands[drawn[np.argsort(self.draw[drawn], kind="stable")[:SAMPLE]]] = True
        known = np.array([item in judged for item in self.items.ids], np.bool_)
        wanted = np.flatnonzero(stands | known).tolist()
        return KeptNight(
            self.items.take(wanted), stands[wanted], self.facts.n_items,
            self.items.take(drawn.tolist()), self.facts.offset,
        )  # fmt: skip


def write_kept_items(kept: KeptItems, path: Path) -> None:
    """Write kept items as parquet, in one step; the same items give the same bytes."""
    items = kept.items
    columns: dict[str, object] = {"id": list(items.ids)}
    columns |= {name: getattr(kept, name) for name in _OWN}
    columns |= {_ENTITY + name: list(values) for name, values in items.entities.items()}
    table = pa.table(columns)
    for place, name in enumerate(items.names):
        values = pa.array(items.features[:, place].astype(np.float32))
        table = table.append_column(_FEATURE + name, values)
    meta = {_META: json.dumps(asdict(kept.facts), sort_keys=True).encode()}
    with replace_file(path) as temporary, temporary.open("wb") as file:
        pq.write_table(table.replace_schema_metadata(meta), file, compression="zstd")


def read_kept_items(path: str | Path, judged: Collection[str] | None = None) -> KeptItems:
    """Read what `write_kept_items` wrote; features come back with the precision of float32.

    Parameters
    ----------
    path : str or Path
    judged : collection of str, optional
        Ids that there are verdicts on: read these alone, and those that stand for all others.

    Raises
    ------
    DataError
        If it is missing, damaged or another kind of file.
    """
    try:
        with Path(path).open("rb") as file:
            table = pq.read_table(file)
        meta = (table.schema.metadata or {}).get(_META)
        if meta is None:
            raise DataError("it holds no kept items")
        facts = from_json(KeptFacts, json.loads(meta))
        if facts.format_version != _FORMAT:
            raise DataError(f"its format is {facts.format_version}, where {_FORMAT} is read")
        return _kept(facts, table if judged is None else table.filter(_needed(table, judged)))
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, DataError) as err:
        raise DataError(
            f"{path} cannot be learned from: {reason_of(err)}. Score the night again with --learn."
        ) from None


def kept_among(path: str | Path, ids: Collection[str]) -> list[str]:
    """Return which of some ids a file of kept items has; it is not read whole."""
    with Path(path).open("rb") as file:
        column = pq.read_table(file, columns=["id"])["id"]
    known: list[str] = column.filter(_among(column, ids)).to_pylist()
    return known


def _among(column: pa.ChunkedArray, ids: Collection[str]) -> pa.ChunkedArray:
    return pc.is_in(column, value_set=pa.array(list(ids), column.type))


def _needed(table: pa.Table, judged: Collection[str]) -> pa.ChunkedArray:
    """Tell which rows a learner needs, as `KeptItems.night` takes them."""
    draw = np.where(table["drawn"].to_numpy(), table["draw"].to_numpy(), np.inf)
    stands = np.zeros(len(draw), np.bool_)
    stands[np.argsort(draw, kind="stable")[:SAMPLE]] = True
    unread = pa.chunked_array([stands & np.isfinite(draw)])
    return pc.or_(_among(table["id"], judged), unread)


_OWN: Final = (
    "likely", "high", "drawn", "draw", "score", "p_value", "p_combined", "surprise",
)  # fmt: skip


def _kept(facts: KeptFacts, table: pa.Table) -> KeptItems:
    names = [name for name in table.column_names if name.startswith(_FEATURE)]
    features = np.column_stack([table[name].to_numpy() for name in names]).astype(np.float64)
    entities = {
        name.removeprefix(_ENTITY): table[name].to_pylist()
        for name in table.column_names
        if name.startswith(_ENTITY)
    }
    plain = tuple(name.removeprefix(_FEATURE) for name in names)
    items = NightItems(
        facts.night, table["id"].to_pylist(), features, plain, entities, facts.scorer
    )
    return KeptItems(facts, items, **{name: table[name].to_numpy() for name in _OWN})
