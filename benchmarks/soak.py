"""Kill nights at random until they are done, and compare each to the byte with one left alone.

    python benchmarks/soak.py                       200 kills
    python benchmarks/soak.py --kills 1000 --seed 7

Nights of tables, images and payments with histories, by one process and by two workers, with one
item of a hundred corrupt and one table that was cut short, are scored by ``vae-anomaly score`` in
forks of a process that has everything loaded. At a random time, uniform over what the undisturbed
run took, each attempt is hit once: the run and its workers are killed (-9), or the run alone, or
one worker alone, or the run is told to end (SIGTERM, SIGINT). It is started again until it is done.

Then must hold: exit codes as documented; of each part rows in = rows out + quarantined; the ids
equal those of the input as multisets; the folder has the files of the undisturbed run and no other,
each of the same bytes, but for ``ledger.sqlite`` (its rows are compared, without their times),
``.lock`` and the fields of time in ``report.html`` and ``summary.json``; and `verify_run` finds
nothing. After each hit every file in place can be read, and workers of a killed run are gone. One
line is printed for each scenario; the first difference ends the script with exit status 1, and its
folder is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from soak_data import train_cards, train_images, train_table, write_images, write_tables

from vae_anomaly.batch import read_manifest, read_quarantine, read_results
from vae_anomaly.batch.runs.verify import verify_run
from vae_anomaly.errors import DataError
from vae_anomaly.files import sha256_of

ALONE = ("kill", "kill", "term", "int")
WITH_WORKERS = ("kill", "parent", "parent", "worker", "term", "int")
CODES = {"kill": 137, "parent": 137, "term": 143, "int": 130}
NOT_COMPARED = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", ".lock")
TIMES = ("committed", "seconds")  # of a row of the ledger
TIMES_IN = {
    "report.html": re.compile(rb'(?<="scored_at":)"[^"]*"|<time datetime="[^"]*">[^<]*</time>'),
    "summary.json": re.compile(rb'"(finished_at|seconds)": [^,\n]*'),
}
PATIENCE = 120.0  # seconds for anything at all


class DifferenceError(Exception):
    """A guarantee that does not hold."""


def must(fine: bool, said: str) -> None:
    if not fine:
        raise DifferenceError(said)


# ------------------------------------------------------------------ runs


class Server:
    """The process that `soak_server.py` describes."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own script
            [sys.executable, "-W", "ignore", str(Path(__file__).with_name("soak_server.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
        must(self._line() == "ready", "the server did not start")

    def start(self, args: list[str]) -> int:
        """Start a command; return its process number."""
        self.log.unlink(missing_ok=True)
        print(json.dumps({"args": args, "log": str(self.log)}), file=self._process.stdin)
        return int(self._line())

    def has_ended(self, within: float) -> bool:
        """Wait for so many seconds at most; tell whether the command is gone."""
        return bool(select.select([self._process.stdout], [], [], within)[0])

    def status(self) -> int:
        """Return the exit status as a shell has it: 128 + N for signal N."""
        must(self.has_ended(PATIENCE), f"the run hangs:\n{self.log.read_text()[-2000:]}")
        code = int(self._line())
        return code if code >= 0 else 128 - code

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        return self._process.stdout.readline().strip()


def workers_of(pid: int) -> list[int]:
    """Return the processes of a run that score."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split() if _scores(child)]
    return found


def _scores(pid: str) -> bool:
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def hit(way: str, pid: int, rng: np.random.Generator) -> tuple[str, list[int]]:
    """Do to a run what the way says; return what was done, and the workers that end with it."""
    workers = workers_of(pid)
    if way == "worker" and workers:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.kill(workers[int(rng.integers(len(workers)))], signal.SIGKILL)
        return way, []
    if way == "kill":
        os.killpg(pid, signal.SIGKILL)
    elif way == "int":
        os.killpg(pid, signal.SIGINT)
    elif way == "term":
        os.kill(pid, signal.SIGTERM)
    else:  # its workers have not begun yet
        way = "parent"
        os.kill(pid, signal.SIGKILL)
    return way, workers


# ------------------------------------------------------------------ scenarios


@dataclass
class Scenario:
    """A night, how it is scored, and what is known of it.

    Parameters
    ----------
    before : Path or None
        What the output folder holds when the night begins.
    """

    name: str
    args: list[str]
    ids: Counter[str]
    workers: int = 1
    before: Path | None = None
    reference: Path = Path()
    code: int = 0
    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    nights: int = 0
    spent: float = 0.0

    def command(self, out: Path) -> list[str]:
        """Return the words after ``vae-anomaly``."""
        return [*self.args, "--out", str(out), "--workers", str(self.workers)]

    @property
    def ways(self) -> tuple[str, ...]:
        """Return what a run may be hit by, the more frequent more than once."""
        return ALONE if self.workers == 1 else WITH_WORKERS


def scenarios(root: Path, server: Server, seed: int) -> Iterator[Scenario]:
    """Train the models and write the nights."""
    table, images, cards = (
        str(train(root / name))
        for name, train in (("table", train_table), ("image", train_images), ("card", train_cards))
    )
    days = write_tables(root / "days", range(12, 28), 500, seed=seed)
    scored = ["score", "table", table, str(root / "days"), "--id-column", "id"]
    yield Scenario("tables, one process", scored, counted(days))
    yield Scenario("tables, two workers", scored, counted(days), workers=2)

    scored = ["score", "table", table, str(root / "changed"), "--id-column", "id"]
    days = write_tables(root / "changed", range(12, 24), 500, seed=seed + 1)
    server.start([*scored, "--out", str(root / "before")])
    server.status()
    days |= write_tables(root / "changed", range(20, 28), 400, seed=seed + 2)
    yield Scenario("tables, some changed", scored, counted(days), before=root / "before")

    days = write_tables(root / "nights", range(12, 25), 300, seed=seed + 3, csv_every=0)
    scored = ["score", "table", cards, str(root / "nights")]
    yield Scenario("histories, one process", scored, counted(days))

    cams = write_images(root / "images", 4, 100, seed=seed + 4)
    scored = ["score", "images", images, str(root / "images"), "--masks", "all"]
    yield Scenario("images, one process", scored, counted(cams))
    yield Scenario("images, two workers", scored, counted(cams), workers=2)


def counted(by_file: dict[str, list[str]]) -> Counter[str]:
    return Counter(name for names in by_file.values() for name in names)


def undisturbed(one: Scenario, out: Path, server: Server) -> None:
    """Score the night twice: to learn what comes out, and that once more changes nothing."""
    begin(one, out)
    started = time.perf_counter()
    server.start(one.command(out))
    one.code = server.status()
    one.seconds = time.perf_counter() - started
    before = state_of(out)
    server.start(one.command(out))
    must(server.status() == one.code, "the second run ends with another exit code")
    must(without_report(before) == without_report(state_of(out)), "the second run writes anew")
    out.replace(one.reference)
    check(one, one.reference, one.code)


def night(one: Scenario, out: Path, server: Server, rng: np.random.Generator, left: int) -> int:
    """Run a night until it is done, hit at most ``left`` times; return how often it was."""
    begin(one, out)
    hits = 0
    while True:
        way, moment = one.ways[int(rng.integers(len(one.ways)))], float(rng.uniform(0, one.seconds))
        pid, workers = server.start(one.command(out)), list[int]()
        if hits == left or server.has_ended(moment):
            way = "none"
        else:
            way, workers = hit(way, pid, rng)
            one.kills[way] += 1
            hits += 1
        code = server.status()
        if code == one.code:
            break
        log = server.log.read_text()[-3000:]
        must(code == CODES.get(way), f"exit code {code} after {way} at {moment:.2f} s:\n{log}")
        after_hit(out, way, workers, wait=bool(rng.integers(2)))
    check(one, out, code)
    one.nights += 1
    return hits


def begin(one: Scenario, out: Path) -> Path:
    """Empty the output folder, or fill it with what it holds before the night."""
    shutil.rmtree(out, ignore_errors=True)
    if one.before is not None:
        shutil.copytree(one.before, out)
    return out


# ------------------------------------------------------------------ what must hold


def after_hit(out: Path, way: str, workers: list[int], *, wait: bool) -> None:
    """Check what lies there after a hit: all of it whole, and nobody writes any more.

    Without ``wait`` the next run begins at once, beside workers that are just ending.
    """
    for part in out.glob("part-*.parquet"):
        pq.read_table(part)
    with suppress(DataError):
        read_manifest(out)  # whole, or refused: nothing else may come out
    if way in ("term", "int"):
        must(not list(out.rglob(".*.partial")), f"temporary files are left after {way}")
    if not wait:
        return
    until = time.monotonic() + 20
    while any(map(is_alive, workers)):
        must(time.monotonic() < until, f"workers live on after {way}: {workers}")
        time.sleep(0.02)
    before = state_of(out)
    time.sleep(0.3)
    must(state_of(out) == before, f"the folder changes after {way}")


def check(one: Scenario, out: Path, code: int) -> None:
    """Check a night that is done against its input, and against the undisturbed run."""
    manifest = read_manifest(out)
    must(code == (4 if manifest["failed"] else 0), f"exit code {code}")
    for part in manifest["partitions"]:
        rows = part["rows_out"] + part["rows_quarantined"]
        must(part["rows_in"] == rows, f"{part['key']}: {part['rows_in']} rows in, {rows} out")
    scored = read_results(out, columns=["id", "score"], allow_failed=True)
    must(bool(np.isfinite(scored["score"]).all()), "a score is not finite")
    found = Counter(scored["id"])
    for path in out.glob("quarantine/*.jsonl"):
        found.update(item.id for item in read_quarantine(path))
    must(found == one.ids, f"lost {list((one.ids - found).items())[:5]}, "
                           f"doubled {list((found - one.ids).items())[:5]}")  # fmt: skip
    verified = verify_run(out, allow_failed=True)
    must(not verified.findings, f"verify: {verified.findings}")
    stale = [p.name for p in out.rglob("*") if p.name.endswith(".partial") or p.name == ".run"]
    must(not stale, f"left over: {stale}")
    ours, theirs = contents(out), contents(one.reference)
    other = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
    must(not other, f"not as the undisturbed run: {sorted(other)}")
    must(ledger_of(out) == ledger_of(one.reference), "the ledger has other rows")


def contents(out: Path) -> dict[str, str]:
    """Return the SHA-256 of every file by its name, times within it left out."""
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in NOT_COMPARED]
    return {str(path.relative_to(out)): digest(path) for path in files}


def digest(path: Path) -> str:
    times = TIMES_IN.get(path.name)
    return sha256_of(path if times is None else times.sub(b"", path.read_bytes()))


def ledger_of(out: Path) -> list[dict[str, object]]:
    with closing(sqlite3.connect(out / "ledger.sqlite")) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT * FROM partitions ORDER BY key").fetchall()
    return [{name: row[name] for name in row.keys() if name not in TIMES} for row in rows]  # noqa: SIM118


def state_of(out: Path) -> dict[str, tuple[int, int, int]]:
    """Return what would tell that a file was written."""
    found = {}
    for path in out.rglob("*"):
        with suppress(FileNotFoundError):
            stat = path.stat()
            if not path.is_dir() and not path.name.startswith("ledger"):
                found[str(path)] = stat.st_ino, stat.st_mtime_ns, stat.st_size
    return found


def without_report(state: dict[str, tuple[int, int, int]]) -> dict[str, tuple[int, int, int]]:
    """Leave out what each run writes."""
    own = ("report.html", ".lock")
    return {name: stat for name, stat in state.items() if not name.endswith(own)}


# ------------------------------------------------------------------ all of it


def soak(root: Path, kills: int, seed: int) -> None:
    server = Server(root / "log.txt")
    planned = list(scenarios(root, server, seed))
    for number, one in enumerate(planned):
        rng = np.random.default_rng([seed, number])
        started, done = time.perf_counter(), 0
        goal = kills * (number + 1) // len(planned) - kills * number // len(planned)
        try:
            one.reference = root / f"undisturbed{number}"
            undisturbed(one, root / "out", server)
            while done < goal:
                done += night(one, root / "out", server, rng, goal - done)
        except (DifferenceError, DataError) as err:
            raise DifferenceError(
                f"{one.name}, seed {seed}, night {one.nights + 1}: {err}"
            ) from err
        one.spent = time.perf_counter() - started
        told = ", ".join(f"{n} {way}" for way, n in sorted(one.kills.items()) if n)
        print(f"{one.name:24} {one.nights:4} nights  {done:4} kills ({told})  "
              f"{one.spent:5.0f} s  as undisturbed", flush=True)  # fmt: skip
    server.close()
    total = sum(one.kills.total() for one in planned)
    nights = sum(one.nights for one in planned)
    spent = sum(one.spent for one in planned)
    print(f"{'all':24} {nights:4} nights  {total:4} kills  {spent:5.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        soak(root, given.kills, given.seed)
    except DifferenceError as err:
        raise SystemExit(f"{err}\nThe folder is kept: {root}") from err
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
