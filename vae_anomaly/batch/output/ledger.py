"""The ledger: which partitions are done, from what, by which model, with what result.

A row is written after the output of its partition is in place, so a row without its file, or a file
without its row, means: score it again.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from vae_anomaly.batch.output.written import refuse_unwritten
from vae_anomaly.errors import StorageError
from vae_anomaly.files import is_full_disk, leads_out, reach, sha256_of
from vae_anomaly.state import from_json
from vae_anomaly.version import __version__
from vae_anomaly.words import reason_of

_CREATE = """
CREATE TABLE IF NOT EXISTS partitions (
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    folder TEXT NOT NULL,
    input_path TEXT NOT NULL,
    input_bytes INTEGER NOT NULL,
    input_sha256 TEXT NOT NULL,
    rows_in INTEGER NOT NULL,
    rows_out INTEGER NOT NULL,
    rows_flagged INTEGER NOT NULL,
    rows_quarantined INTEGER NOT NULL CHECK (rows_in = rows_out + rows_quarantined),
    output TEXT NOT NULL,
    output_sha256 TEXT NOT NULL,
    files TEXT NOT NULL,
    codes TEXT NOT NULL,
    model_version TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    threshold REAL NOT NULL,
    config_sha256 TEXT NOT NULL,
    code_version TEXT NOT NULL,
    committed REAL NOT NULL,
    seconds REAL NOT NULL,
    history TEXT NOT NULL DEFAULT '{}',
    notes TEXT NOT NULL DEFAULT '[]',
    folders TEXT NOT NULL DEFAULT '{}'
) STRICT
"""
_CREATE_NIGHTS = """
CREATE TABLE IF NOT EXISTS nights (number INTEGER PRIMARY KEY, keys TEXT NOT NULL) STRICT
"""
_CREATE_RUNS = """
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    command TEXT NOT NULL,
    partitions INTEGER NOT NULL,
    todo INTEGER NOT NULL,
    code_version TEXT NOT NULL
) STRICT
"""
MOST_NIGHTS = 32
"""Runs whose partitions are remembered, the last ones."""
MOST_RUNS = 100
"""Runs of which it is remembered what they were asked for, the last ones."""
_ADDED = {  # since the first version, in this order
    name: f"ALTER TABLE partitions ADD COLUMN {name} TEXT NOT NULL DEFAULT '{empty}'"
    for name, empty in (("history", "{}"), ("notes", "[]"), ("folders", "{}"))
}
_JSON = ("files", "codes", "history", "notes", "folders")
_FAULTS: Final = (sqlite3.Error, UnicodeDecodeError)  # names of columns are decoded by Python
_NIGHT: Final = TypeAdapter(list[str])
_Nanoseconds = Annotated[int, Field(gt=-(2**63), lt=2**63)]


class HistoryRecord(TypedDict):
    """What is kept of the states before and after a partition: digests, and where they end."""

    before: str
    before_until: _Nanoseconds
    after: str
    until: _Nanoseconds


HISTORY_RECORD: Final = TypeAdapter(HistoryRecord)


@dataclass(frozen=True, kw_only=True)
class PartitionResult:
    """What scoring one partition gave.

    Parameters
    ----------
    rows_in, rows_out, rows_flagged, rows_quarantined : int
        Images or rows; ``rows_in = rows_out + rows_quarantined``.
    output : str
        The output file, below the output folder.
    files : dict of str to str
        SHA-256 of each file that was written, the output among them.
    codes : dict of str to int
        Quarantined items by reason.
    history : dict
        Of a model with entities: the states before and after, see `vae_anomaly.batch.histories`.
    notes : list of str
        What its owner should look at, such as a column that has moved as a whole.
    """

    key: str
    input_sha256: str
    rows_in: int
    rows_out: int
    rows_flagged: int
    rows_quarantined: int
    output: str
    files: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    history: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class LedgerRow(PartitionResult):
    """One partition that is done: what scoring it gave, of which input and by which model.

    ``folders`` are name and path of each folder of images, where there are several.
    """

    kind: str
    folder: str
    input_path: str
    input_bytes: int
    output_sha256: str
    model_version: str
    model_digest: str
    threshold: float
    config_sha256: str
    code_version: str = __version__
    committed: float = field(default_factory=time.time)
    folders: dict[str, str] = field(default_factory=dict)

    def is_intact(self, root: Path) -> bool:
        """Say whether every file it speaks of is there, unchanged, and no link to elsewhere."""
        try:
            return all(
                not leads_out(root, name) and sha256_of(root / name) == digest
                for name, digest in self.files.items()
            )
        except OSError:
            return False


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run over the folder.

    Parameters
    ----------
    run : str
        Its name.
    started : float
        Seconds since 1970.
    ended : float, optional
        None for one that goes on, or was stopped.
    command : str
        What it was asked for, as JSON; see `vae_anomaly.batch.runs.command`.
    partitions, todo : int
        Of its input, and those that were not done when it began.
    """

    run: str
    started: float
    ended: float | None
    command: str
    partitions: int
    todo: int
    code_version: str


class Ledger:
    """The SQLite file ``ledger.sqlite`` of an output folder, made where there is none yet.

    Use it in a ``with`` block. One that cannot be used, or is no ledger, is a StorageError. With
    ``reads_only`` nothing is made or changed, and one of an earlier version is read as it is.
    """

    def __init__(self, path: Path, *, reads_only: bool = False) -> None:
        self.path = path
        try:
            if reads_only:
                self._database = _opened_to_read(path)
                return
            self._database = sqlite3.connect(path, isolation_level=None, timeout=10.0)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(_CREATE)
            self._database.execute(_CREATE_NIGHTS)
            self._database.execute(_CREATE_RUNS)
            for name in _ADDED.keys() - self._columns("partitions"):  # of an earlier version
                self._database.execute(_ADDED[name])
        except _FAULTS as err:
            raise self._fault(err) from err
        reach("ledger-open")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def rows(self) -> dict[str, LedgerRow]:
        """Return every partition that is done, by key, in the order of the keys.

        A row that no run has written, by its values or the files that it names, is a StorageError.
        """
        present = self._columns("partitions")
        names = [column.name for column in fields(LedgerRow) if column.name in present]
        records = self._execute(f"SELECT {', '.join(names)} FROM partitions ORDER BY key")  # noqa: S608  # names of our own fields
        rows = [dict(zip(names, values, strict=True)) for values in records]
        with self._as_written():
            return {row["key"]: _checked(row) for row in rows}

    def record(self, row: LedgerRow) -> None:
        """Write a partition down as done."""
        values = asdict(row)
        values |= {name: json.dumps(values[name], sort_keys=True) for name in _JSON}
        marks = ", ".join(f":{name}" for name in values)
        self._execute(
            f"INSERT OR REPLACE INTO partitions ({', '.join(values)}) VALUES ({marks})",  # noqa: S608  # names of our own fields
            values,
        )
        reach("ledger-written")

    def forget(self, key: str) -> None:
        """Strike a partition out: its output is about to change, or has gone."""
        self._execute("DELETE FROM partitions WHERE key = :key", {"key": key})

    def begin_run(self, run: str, command: str, *, partitions: int, todo: int) -> None:
        """Write down that a run begins, and what it was asked for."""
        self._execute(
            "INSERT INTO runs (run, started, command, partitions, todo, code_version)"
            " VALUES (:run, :started, :command, :partitions, :todo, :code_version)",
            {"run": run, "started": time.time(), "command": command, "partitions": partitions,
             "todo": todo, "code_version": __version__},
        )  # fmt: skip
        self._execute(
            "DELETE FROM runs WHERE number <= (SELECT max(number) FROM runs) - :most",
            {"most": MOST_RUNS},
        )

    def end_run(self, run: str) -> None:
        """Write down that a run has done all that it could."""
        now = time.time()
        self._execute("UPDATE runs SET ended = :now WHERE run = :run", {"now": now, "run": run})

    def runs(self) -> list[RunRow]:
        """Return the runs, the last one last; those of earlier versions are not known."""
        names = [column.name for column in fields(RunRow)]
        if not self._columns("runs"):
            return []
        records = self._execute(f"SELECT {', '.join(names)} FROM runs ORDER BY number")  # noqa: S608  # names of our own fields
        with self._as_written():
            return [from_json(RunRow, dict(zip(names, row, strict=True))) for row in records]

    def copy_to(self, target: Path) -> None:
        """Write all of it to a file that is not there yet, as one that nobody writes to."""
        self._execute("VACUUM INTO :target", {"target": str(target)})

    def record_night(self, keys: Iterable[str]) -> None:
        """Write down what a run was given, unless the last one was given the same."""
        night = sorted(keys)
        if night == next(reversed(self._nights()), None):
            return
        self._execute("INSERT INTO nights (keys) VALUES (:keys)", {"keys": json.dumps(night)})
        self._execute(
            "DELETE FROM nights WHERE number <= (SELECT max(number) FROM nights) - :most",
            {"most": MOST_NIGHTS},
        )

    def nights(self) -> list[list[str]]:
        """Return the keys of each run, the last run last, as far as they are done and there."""
        done = {key for (key,) in self._execute("SELECT key FROM partitions")}
        nights = [[key for key in night if key in done] for night in self._nights()]
        return [night for night, _ in groupby(filter(None, nights))]

    def _columns(self, table: str) -> set[str]:
        return {row[1] for row in self._execute(f"PRAGMA table_info({table})")}

    def _nights(self) -> list[list[str]]:
        if not self._columns("nights"):
            return []
        nights = self._execute("SELECT keys FROM nights ORDER BY number")
        with self._as_written():
            return [_NIGHT.validate_json(keys) for (keys,) in nights]

    @contextmanager
    def _as_written(self) -> Iterator[None]:
        """Refuse what no run has written here, before anything of it is followed."""
        try:
            yield
        except (ValueError, TypeError, KeyError, RecursionError) as err:
            raise StorageError(
                f"The ledger {self.path} holds what no run has written: {reason_of(err)}. Move it "
                "away; everything is then scored again."
            ) from err

    def _execute(self, statement: str, values: dict[str, Any] | None = None) -> list[Any]:
        try:
            return self._database.execute(statement, values or {}).fetchall()
        except _FAULTS as err:
            raise self._fault(err) from err

    def _fault(self, err: Exception) -> StorageError:
        if is_full_disk(err):
            return StorageError(
                f"The ledger {self.path} cannot be written: {reason_of(err)}. Free some space, "
                "then run again; what is done is not done twice."
            )
        return StorageError(
            f"{self.path} is not a ledger that can be used: {reason_of(err)}. Move it away; "
            "everything is then scored again."
        )


def _opened_to_read(path: Path) -> sqlite3.Connection:
    """Open a database that is there; without a log beside it nothing is put beside it either."""
    is_whole = not path.with_name(f"{path.name}-wal").exists()
    address = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' * is_whole}"
    database = sqlite3.connect(address, uri=True, timeout=10.0)
    database.execute("SELECT count(*) FROM sqlite_schema")
    return database


def _checked(values: dict[str, Any]) -> LedgerRow:
    """Make a row of what the database holds; a ValueError or the like where no run wrote it."""
    told = {name: json.loads(values[name]) for name in _JSON if name in values}
    row = from_json(LedgerRow, values | told)
    refuse_unwritten(row.key, row.output, row.files)
    if row.history:
        HISTORY_RECORD.validate_python(row.history)
    return row
