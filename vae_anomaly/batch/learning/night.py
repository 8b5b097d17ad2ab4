"""What a night has kept to learn from, in one file: ``learn.parquet`` of the output folder.

It follows from the files of its partitions and the ledger, so a run that changes nothing leaves its
bytes; a run that was stopped and goes on writes what an undisturbed one would.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from vae_anomaly.batch.learning.keeper import JudgedItems, LearnKeeper
from vae_anomaly.batch.learning.options import LearnOptions
from vae_anomaly.batch.output.done import is_done_already
from vae_anomaly.batch.output.ledger import LedgerRow, RunRow
from vae_anomaly.batch.output.written import learn_path
from vae_anomaly.batch.plan import Output, Partition, ScoringModel
from vae_anomaly.files import remove_file
from vae_anomaly.tracking.nights import LEARN_FILE
from vae_anomaly.verdicts.kept import KeptItems, read_kept_items, write_kept_items


def write_kept_night(
    root: Path,
    rows: Mapping[str, LedgerRow],
    fresh: Collection[str],
    runs: Sequence[RunRow],
    options: LearnOptions | None,
) -> KeptItems | None:
    """Write what the partitions of a night have kept as one file.

    Parameters
    ----------
    root : Path
        Output folder of a run that has written its manifest.
    rows : mapping of str to LedgerRow
        The partitions that are done, by key.
    fresh : collection of str
        Keys of those that are new to the night.
    runs : sequence of RunRow
        Those that are remembered.
    options : LearnOptions, optional
        Of the run; without them the file of an earlier run is removed.

    Returns
    -------
    kept : KeptItems or None
        None where there is nothing to learn from.
    """
    names = [learn_path(key) for key in sorted(fresh) if key in rows]
    own = [name for name in names if name in rows[_key(name)].files]
    if options is None or not own:
        remove_file(root / LEARN_FILE)
        return None
    keeper, n_items = LearnKeeper(), 0
    for name in own:
        part = read_kept_items(root / name)
        keeper.take(JudgedItems.of(part))
        n_items += part.facts.n_items
    facts = replace(
        part.facts, night=options.ordinal, n_items=n_items,
        scored_at=_began([rows[_key(name)].committed for name in own], runs),
    )  # fmt: skip
    kept = keeper.kept(facts, part.items.names)
    assert kept is not None  # noqa: S101 - a part without items has no file
    write_kept_items(kept, root / LEARN_FILE)
    return kept


def of_same_night(
    output: Output,
    plan: Sequence[Partition],
    model: ScoringModel,
    rows: Mapping[str, LedgerRow],
    runs: Sequence[RunRow],
) -> Output:
    """Return the output as of the night of the last run, where this one goes on with that.

    A run whose night is just today goes on with one that was stopped, and with one after which
    nothing is new or has changed: items belong to the night that they were scored for.
    """
    learn = output.options.learn
    night = None if learn is None or learn.is_chosen or not runs else _night_of(runs[-1], learn)
    if learn is None or night is None:
        return output
    before = replace(output, options=replace(output.options, learn=learn.of_night(night)))
    done = (is_done_already(partition, rows, model, before) for partition in plan)
    goes_on = any(done) if runs[-1].ended is None else all(done)
    return before if goes_on else output


def _night_of(last: RunRow, learn: LearnOptions) -> str | None:
    """Return the night of the last run over a folder, if it was another for the same columns."""
    options: dict[str, Any] = {}
    with suppress(ValueError, LookupError, TypeError):
        options = dict(json.loads(last.command)["options"])
    night, columns = options.get("night"), options.get("learn")
    try:
        date.fromisoformat(night or "")
    except (ValueError, TypeError):
        return None
    return night if columns == list(learn.columns) and night != learn.night else None


def _key(name: str) -> str:
    return Path(name).name.removesuffix(".parquet")


def _began(committed: Sequence[float], runs: Sequence[RunRow]) -> str:
    """Return when the run began that has scored the first part of a night: ISO 8601, UTC."""
    first = min(committed)
    start = max((run.started for run in runs if run.started <= first), default=first)
    return datetime.fromtimestamp(start, UTC).isoformat(timespec="seconds")
