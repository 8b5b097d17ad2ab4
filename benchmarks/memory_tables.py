"""Measure the memory that training and scoring of long tables take, through the command line.

    python benchmarks/memory_tables.py --rows 1000000 10000000

For each size a parquet file of 12 columns is made in pieces, `vae-anomaly train table` and
`vae-anomaly score table` run as processes of their own, and the peak of their resident memory is
what the kernel says (`os.wait4`). ``--train-rows 1500`` trains on the first rows only: a small
memory of exemplars is searched faster, which shortens a run that is about memory alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PIECE = 100_000
COMMAND = "from vae_anomaly.cli import main; main()"


def make_piece(start: int, n: int) -> pa.Table:
    """Return rows of a made-up plant: seven measurements, two names, a truth value, a time."""
    rng = np.random.default_rng(start)
    hidden = rng.normal(size=(n, 2))
    measured = {f"m{j}": hidden[:, j % 2] * (j + 1) + 0.3 * rng.normal(size=n) for j in range(7)}
    seconds = rng.integers(0, 30 * 86_400, n).astype("timedelta64[s]")
    return pa.table(
        {
            "part_id": [f"p{i:09d}" for i in range(start, start + n)],
            **measured,
            "shop": np.array([f"shop{i}" for i in range(40)])[rng.integers(0, 40, n)],
            "kind": np.array(["a", "b", "c"])[rng.integers(0, 3, n)],
            "checked": rng.random(n) < 0.9,
            "at": np.datetime64("2026-01-01") + seconds,
        }
    )


def write_table(path: Path, n_rows: int) -> None:
    with pq.ParquetWriter(path, make_piece(0, 1).schema) as writer:
        for start in range(0, n_rows, PIECE):
            writer.write_table(make_piece(start, min(PIECE, n_rows - start)))


def measure(arguments: list[str], log: Path) -> tuple[float, float, float]:
    """Run the command line; return peak MB, wall seconds and CPU seconds."""
    started = time.perf_counter()
    with log.open("wb") as out:
        argv = [sys.executable, "-c", COMMAND, *arguments]
        actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, out.fileno(), 2)]
        pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"vae-anomaly {' '.join(arguments)} failed:\n{log.read_text()[-2000:]}")
    wall = time.perf_counter() - started
    return usage.ru_maxrss / 1000, wall, usage.ru_utime + usage.ru_stime


def run(n_rows: int, preset: str, train_rows: int | None, folder: Path) -> None:
    """Train on and score a table of ``n_rows`` rows; print what it took."""
    table, model = folder / f"rows{n_rows}.parquet", folder / f"model{n_rows}"
    write_table(table, n_rows)
    normal = table
    if train_rows is not None:
        normal = folder / "few.parquet"
        pq.write_table(make_piece(0, train_rows), normal)
    common = ["--out", str(model), "--no-register", "--preset", preset, "--id-column", "part_id"]
    steps = {
        "train": ["train", "table", str(normal), *common],
        "score": ["score", "table", str(model), str(table), "--out", str(folder / f"out{n_rows}")],
    }
    for name, arguments in steps.items():
        peak, wall, cpu = measure(arguments, folder / f"{name}.log")
        print(
            f"{name:6} {n_rows:>12,} rows  peak {peak:6.0f} MB  {wall:7.0f} s wall  "
            f"{cpu:7.0f} s CPU  {n_rows / wall:8,.0f} rows/s",
            flush=True,
        )
    table.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--preset", choices=["fast", "default", "thorough"], default="default")
    parser.add_argument("--train-rows", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for n_rows in given.rows:
            run(n_rows, given.preset, given.train_rows, Path(folder))


if __name__ == "__main__":
    main()
