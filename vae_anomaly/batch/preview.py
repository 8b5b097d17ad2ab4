"""What a run would do, found as the run itself finds it; nothing is written, and no folder made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vae_anomaly.batch.asked import AskedFor
from vae_anomaly.batch.histories import HistoryChain
from vae_anomaly.batch.learning.night import of_same_night
from vae_anomaly.batch.output.done import (
    input_path_of,
    orphans,
    refuse_lost_and_double,
    why_again,
)
from vae_anomaly.batch.output.earlier import as_cut_before
from vae_anomaly.batch.output.ledger import Ledger, LedgerRow, RunRow
from vae_anomaly.batch.output.remote import place_to_look_at
from vae_anomaly.batch.output.written import LEDGER, refuse_links
from vae_anomaly.batch.plan import Output, Partition
from vae_anomaly.batch.runs.found import is_running
from vae_anomaly.data.images.folders import LeftOutImages
from vae_anomaly.storage.addresses import with_addresses

PlannedState = Literal["done", "new", "again"]


@dataclass(frozen=True)
class PlannedPart:
    """One partition of the input, and what a run would do with it.

    Parameters
    ----------
    key, input : str
        What it is called, and the table or the folder of the first image.
    state : {"done", "new", "again"}
    why : tuple of str
        Why it would be scored again.
    files, size_bytes : int
        Of the input.
    """

    key: str
    input: str
    state: PlannedState
    why: tuple[str, ...]
    files: int
    size_bytes: int


@dataclass(frozen=True)
class Preview:
    """What a run would do.

    Parameters
    ----------
    out : Path
    model : str
        The version that would score.
    threshold : float
        Bound on the anomaly score.
    parts : tuple of PlannedPart
        In the order in which they would be scored.
    removed : tuple of str
        Parts whose images now lie in others; their results would be replaced.
    left_out : tuple of LeftOutImages
        Images below the input that are none of parts.
    running : bool
        Whether another run is writing there now.
    """

    out: Path
    model: str
    threshold: float
    parts: tuple[PlannedPart, ...]
    removed: tuple[str, ...]
    left_out: tuple[LeftOutImages, ...]
    running: bool

    @property
    def place(self) -> str:
        """The output folder, of one in an object store its address."""
        return with_addresses(str(self.out))

    def count(self, state: PlannedState) -> int:
        """Return how many partitions are in a state."""
        return sum(part.state == state for part in self.parts)


def preview_run(asked: AskedFor, out: str | Path) -> Preview:
    """Say what a run over an output folder would do.

    Parameters
    ----------
    asked : AskedFor
        As `tables_asked_for` and `images_asked_for` return it.
    out : str or Path
        The output folder, there or not.

    Raises
    ------
    ConfigError, DataError, StorageError
        What the run itself would refuse.
    """
    root, model = place_to_look_at(out), asked.model
    rows, runs = _of_ledger(root)
    output = of_same_night(Output(str(root), asked.options), asked.plan, model, rows, runs)
    plan = as_cut_before(asked.plan, rows, model, output)
    refuse_links(root, {*rows, *(partition.key for partition in plan)})
    leaving = orphans(plan, rows, output.root)
    refuse_lost_and_double(plan, rows, leaving, output.root)
    why = {
        part.key: tuple(why_again(part, rows[part.key], model, output))
        for part in plan
        if part.key in rows
    }
    return Preview(
        root, model.version, model.threshold, tuple(_parts(plan, rows, why, asked.chain)),
        tuple(sorted(row.key for row in leaving)), asked.left_out, is_running(root),
    )  # fmt: skip


def _parts(
    plan: Sequence[Partition],
    rows: Mapping[str, LedgerRow],
    why: Mapping[str, tuple[str, ...]],
    chain: HistoryChain | None,
) -> Iterator[PlannedPart]:
    later: set[str] = set()
    if chain is not None:
        plan = chain.in_order(plan)
        todo = chain.todo(plan, rows, lambda part: not why.get(part.key, ("new",)))
        later = {part.key for part in todo}
    for part in plan:
        reasons = why.get(part.key, ())
        if part.key in later and part.key in rows and not reasons:
            reasons = ("the histories that it goes on from have changed",)
        state: PlannedState = "new" if part.key not in rows else "again" if reasons else "done"
        size = max(part.size_bytes, 0)
        yield PlannedPart(part.key, input_path_of(part), state, reasons, len(part.files), size)


def _of_ledger(root: Path) -> tuple[dict[str, LedgerRow], list[RunRow]]:
    if not (root / LEDGER).is_file():
        return {}, []
    with Ledger(root / LEDGER, reads_only=True) as ledger:
        return ledger.rows(), ledger.runs()
