"""What carries the entities' histories from night to night: one state behind each partition.

::

    out/state/<key>.npz            the histories after the partition; in the ledger and the manifest
    out/state/start-<digest>.npz   a state from elsewhere that a partition began from

A partition goes on from the latest state that ends before it does: of the folder, of the model (the
end of its training) or of what was given. Partitions are taken in the order of time, one after the
other. One is done only as long as it began from the state that it would begin from today.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.batch.output.ledger import LedgerRow
from vae_anomaly.batch.output.manifest import read_manifest
from vae_anomaly.batch.output.written import state_path
from vae_anomaly.batch.plan import Partition, input_digest
from vae_anomaly.data.tables.entity_features import DAY_NS
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories, time_text
from vae_anomaly.data.tables.files import leave_out
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.errors import ConfigError, DataError, ModelRefusedError
from vae_anomaly.files import leads_out, sha256_of
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.words import number_of, verb_for

logger = logging.getLogger(__name__)
_FOLDER = "state"
_START = "start-"
_GAP = np.timedelta64(1, "D")


@dataclass(frozen=True)
class HistoryFile:
    """Histories as they stood at some time, and where they lie."""

    until: int  # time of the newest row in them, nanoseconds since 1970
    digest: str  # SHA-256 of their content
    path: str | None = None  # the file; None for the model's own
    sha256: str | None = None  # of the file, where a ledger or manifest lists it
    own: bool = False  # whether a partition of the same output folder left it


@dataclass(frozen=True)
class HistoryChain:
    """The order of the partitions of a run, and the state that each begins from."""

    root: Path  # the output folder
    columns: EntityColumns
    spans: Mapping[str, tuple[int, int] | None]
    """Oldest and newest time of each partition, by key; None where no time can be read."""
    given: tuple[HistoryFile, ...] = ()  # the model's own and those asked for

    @classmethod
    def of(
        cls,
        plan: Iterable[Partition],
        entities: EntityHistories,
        root: Path,
        state: str | Path | None,
    ) -> HistoryChain:
        """Read the times of all partitions, and the state that was asked for.

        ``entities`` are the model's own, at the end of its training. A state that is not there, is
        damaged or has other columns is refused.
        """
        spans = {partition.key: _span(partition, entities) for partition in plan}
        return cls(root, entities.columns, spans, tuple(given_files(entities, state)))

    def in_order(self, plan: Iterable[Partition]) -> list[Partition]:
        """Sort partitions by their newest time; those without any come last."""

        def place(partition: Partition) -> tuple[bool, int, str]:
            span = self.spans[partition.key]
            return (span is None, span[1] if span else 0, partition.key)

        return sorted(plan, key=place)

    def start_of(self, partition: Partition, rows: Mapping[str, LedgerRow]) -> HistoryFile | None:
        """Return the state that a partition goes on from; None where it has no times.

        A partition that ends before every state is a DataError.
        """
        span = self.spans[partition.key]
        if span is None:
            return None
        states = [*self.given, *_starts(self.root, self.columns), *_own(self.root, rows)]
        history = latest_before(span[1], states)
        if history is not None:
            return history
        raise DataError(
            f"{partition.files[0].path} ends at {time_text(span[1])}, but the histories of "
            f"{', '.join(self.columns.entities)} that it would go on from already reach "
            f"{time_text(min(state.until for state in states))}. Score newer rows, or go on from "
            "an older state with --state."
        )

    def todo(
        self,
        plan: Iterable[Partition],
        rows: Mapping[str, LedgerRow],
        is_done: Callable[[Partition], bool],
    ) -> list[Partition]:
        """Return what is to do: what is not done, and whatever comes after a changed night.

        It is a DataError if a night outside of the plan would have to be scored again as well.
        """
        planned = self.in_order(plan)
        keys = {partition.key for partition in planned}
        others = [row for key, row in rows.items() if key not in keys and row.history]
        chosen, moved = [], False
        for partition in planned:
            start, row = self.start_of(partition, rows), rows.get(partition.key)
            moved = moved or not _begins_alike(partition, start, row)
            if moved and start is not None:
                _refuse_stale(partition, self.spans[partition.key], others)
            if (moved and start is not None) or not is_done(partition):
                chosen.append(partition)
        return chosen


class HistoryNight:
    """One partition's features, made from the state before it, and the state after it.

    ``entities`` are the model's own, at the end of its training. No ``start`` leaves all features
    missing. Rows that are ``repeated``, (N,), have the id of an earlier one: not remembered.
    """

    def __init__(
        self,
        entities: EntityHistories,
        partition: Partition,
        start: HistoryFile | None,
        repeated: Bools | None = None,
    ) -> None:
        self.start, self.key = start, partition.key
        self._before = load_state(start, entities)
        self._after = self._before.copy()
        columns = self._after.columns
        path = partition.files[0].path
        frame = read_table(
            path, columns=list(columns.inputs), as_text=columns.as_text, ragged=leave_out
        )
        if start is not None:
            self._warn_of_odd_times(frame, partition, start)
            once = frame if repeated is None else frame[~repeated[frame.index]]
            self._features = self._after.process(once).reindex(frame.index)
        else:
            self._features = self._after.blank(frame)[list(self._after.names)]

    def extend(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a piece of the partition with the features; its index numbers the rows."""
        return pd.concat([frame, self._features.loc[frame.index]], axis=1)

    def amounts_before(self, frame: pd.DataFrame, most: int) -> list[dict[str, Floats]]:
        """Return, row by row, the last amounts of its entities before it, the oldest first."""
        return self._after.amounts_before(frame, most)

    @property
    def record(self) -> dict[str, Any]:
        """Return what the ledger keeps: digests and ends of the states before and after."""
        if self.start is None:
            return {}
        return {
            "before": self.start.digest,
            "before_until": self.start.until,
            "after": self._after.digest(),
            "until": self._after.until,
        }

    def write(self, root: Path) -> list[str]:
        """Put the state after the partition in place; return the names of its files."""
        if self.start is None:
            return []
        names = [state_path(self.key)]
        self._after.save(root / names[0])
        if not self.start.own:
            names.append(f"{_FOLDER}/{_START}{self.start.digest[:16]}.npz")
            self._before.save(root / names[1])
        return names

    def _warn_of_odd_times(
        self, frame: pd.DataFrame, partition: Partition, start: HistoryFile
    ) -> None:
        """Warn of rows that the histories may hold already, and of nights that they lack."""
        times = self._after.times(frame)
        times = times[~np.isnat(times)]
        until = np.datetime64(start.until, "ns")
        late = int(np.sum(times < until))
        if late:
            logger.warning(
                "%s: %s %s older than the histories that they go on from (until %s); rows "
                "that are in these already count twice",
                partition.key, number_of(late, "row"), verb_for(late), time_text(start.until),
            )  # fmt: skip
        elif times.size and times.min() - until > _GAP:
            logger.warning(
                "%s: the histories that it goes on from end at %s, more than a day before it",
                partition.key, time_text(start.until),
            )  # fmt: skip


def refuse_state(state: str | Path) -> NoReturn:
    """Refuse a state that is given to a model without entities."""
    raise ConfigError(
        f"The model compares no row with an entity's past, so it has no use for the state "
        f"{state}. Leave --state out, or train with --entity."
    )


def with_past(
    entities: EntityHistories | None, frame: pd.DataFrame, state: str | Path | None = None
) -> pd.DataFrame:
    """Return rows with the features of their entities' past, for a look beside the nights.

    The rows are all of the time that is looked at, in any order; nothing of them is remembered. A
    state is what `states_of` reads; of several, the latest that ends before the rows do, and by
    default the model's own, at the end of its training. Without entities the rows are returned as
    they are. DataError where every state reaches beyond the rows, ConfigError where a state is
    given and the model has no entities.
    """
    return with_histories(entities, frame, state)[0]


def with_histories(
    entities: EntityHistories | None, frame: pd.DataFrame, state: str | Path | None = None
) -> tuple[pd.DataFrame, EntityHistories | None]:
    """Return what `with_past` does, and the histories that have taken the rows, if there are any.

    No state is changed: these histories are a copy.
    """
    if entities is None:
        if state is not None:
            refuse_state(state)
        return frame, None
    entities.columns.check(frame)
    span = entities.span(frame)
    if span is None:
        return pd.DataFrame(entities.blank(frame)), None
    histories = load_state(_start_before(span, given_files(entities, state)), entities)
    return pd.DataFrame(histories.extend(frame)), histories


def _start_before(span: tuple[int, int], states: list[HistoryFile]) -> HistoryFile:
    """Return the state that rows of some times go on from; warn of nights that it lacks."""
    history = latest_before(span[1], states)
    if history is None:
        raise DataError(
            f"The rows end at {time_text(span[1])}, but the histories that they would be compared "
            f"with already reach {time_text(min(s.until for s in states))}. Give newer rows, or "
            "with --state an older state."
        )
    gap = (span[0] - history.until) / DAY_NS
    if gap > 1.0:
        logger.warning(
            "the histories end at %s, %.1f days before the rows: give the nights between as well, "
            "or with --state the output folder of the nightly scoring",
            time_text(history.until), gap,
        )  # fmt: skip
    return history


def given_files(entities: EntityHistories, state: str | Path | None) -> list[HistoryFile]:
    """Return the model's own histories and those of the state that was asked for."""
    files = [] if state is None else states_of(state, entities.columns)
    return [HistoryFile(entities.until or 0, entities.digest()), *files]


def latest_before(time_ns: int, states: Iterable[HistoryFile]) -> HistoryFile | None:
    """Return the state that ends latest before a time; the folder's own where two end alike."""
    fitting = [state for state in states if state.until < time_ns]
    return max(fitting, key=lambda state: (state.until, state.own), default=None)


def load_state(state: HistoryFile | None, model: EntityHistories) -> EntityHistories:
    """Return the histories of a state; the model's own where it names no file.

    Refused are a file other than the ledger lists, a damaged one, and one of other columns.
    """
    if state is None or state.path is None:
        return model.copy()
    path = Path(state.path)
    if state.sha256 is not None and (not path.is_file() or sha256_of(path) != state.sha256):
        raise DataError(
            f"{path} is missing or not the file that was written, so the histories cannot go on "
            "from it. Score the night that it belongs to again, together with this one."
        )
    histories = _loaded(path, model.columns)
    if state.digest != histories.digest():
        raise ModelRefusedError(f"{path} holds another state than its name says. Remove it.")
    return histories


def states_of(source: str | Path, columns: EntityColumns) -> list[HistoryFile]:
    """Return the states that a file or the output folder of a scoring run holds, at least one."""
    path = Path(on_disk(source))
    if path.is_file():
        return [_state(path, columns)]
    entries = read_manifest(path, verify=False)["partitions"] if path.is_dir() else []
    states = [
        _listed(path, entry["key"], entry["history"], entry["files"])
        for entry in entries
        if entry.get("history")
    ]
    if not states:
        raise DataError(
            f"{path} holds no state of entities. Give the output folder of `score table` with a "
            f"model that has entities, or a file of its {_FOLDER} folder."
        )
    return [*states, *_starts(path, columns)]


def _own(root: Path, rows: Mapping[str, LedgerRow]) -> list[HistoryFile]:
    return [
        _listed(root, row.key, row.history, row.files, own=True)
        for row in rows.values()
        if row.history
    ]


def _listed(
    root: Path, key: str, record: Mapping[str, Any], files: Mapping[str, str], *, own: bool = False
) -> HistoryFile:
    name = state_path(key)
    if name not in files or leads_out(root, name):
        raise DataError(
            f"The histories after the partition {key!r} are not in {root}: {name} is not listed "
            "there, or a link leads elsewhere. Score that night again, together with this one."
        )
    return HistoryFile(int(record["until"]), record["after"], str(root / name), files[name], own)


def _starts(root: Path, columns: EntityColumns) -> list[HistoryFile]:
    """Return the states from elsewhere that partitions of a folder began from."""
    return [
        _state(path, columns)
        for path in sorted((root / _FOLDER).glob(f"{_START}*.npz"))
        if not leads_out(root, f"{_FOLDER}/{path.name}")
    ]


def _state(path: Path, columns: EntityColumns) -> HistoryFile:
    facts = path.stat()
    return _read_once(path, columns, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=256)
def _read_once(path: Path, columns: EntityColumns, size_bytes: int, mtime_ns: int) -> HistoryFile:
    """Read what a file says of itself, once as long as it has not changed."""
    histories = _loaded(path, columns)
    return HistoryFile(histories.until or 0, histories.digest(), str(path))


def _loaded(path: Path, columns: EntityColumns) -> EntityHistories:
    histories = EntityHistories.load(path)
    if histories.columns.inputs != columns.inputs:
        raise ModelRefusedError(
            f"{path} holds histories of {', '.join(histories.columns.inputs)}; the model wants "
            f"{', '.join(columns.inputs)}. Go on from a state of this model's columns."
        )
    histories.columns = columns
    return histories


def _span(partition: Partition, entities: EntityHistories) -> tuple[int, int] | None:
    """Return the times of a partition; one that cannot be read fails when its turn comes."""
    try:
        frame = read_table(
            partition.files[0].path, columns=[entities.columns.time], ragged=leave_out
        )
    except DataError:
        return None
    return entities.span(frame)


def _begins_alike(partition: Partition, start: HistoryFile | None, row: LedgerRow | None) -> bool:
    """Say whether the state after a partition is what it was."""
    if start is None:
        return True
    if row is None or row.history.get("before") != start.digest:
        return False
    return row.input_sha256 == input_digest(partition)


def _refuse_stale(
    partition: Partition, span: tuple[int, int] | None, others: Iterable[LedgerRow]
) -> None:
    """Refuse to put a night before others that were scored without it."""
    assert span is not None  # noqa: S101 - it has a start
    after = [o for o in others if o.history["before_until"] <= span[1] < o.history["until"]]
    if after:
        raise DataError(
            f"{partition.files[0].path} ends at {time_text(span[1])}, and "
            f"{after[0].input_path} (until {time_text(after[0].history['until'])}) was scored "
            "without it. Score both and all nights between in one call, or choose another --out."
        )
