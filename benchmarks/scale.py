"""Measure long nights on one machine: time, memory and what an engine costs.

    python benchmarks/scale.py --rows 10000000 30000000 --images 0
    python benchmarks/scale.py --rows 10000000 --engines local:1 local:2 ray:1 ray:2 spark:2

Tables are files of a million rows of 12 columns each, images of 128 pixels in folders of 5,000. A
model is trained on the first rows or images; then ``vae-anomaly score`` runs as a process of its
own for each engine and number of workers. CPU seconds are those of all cores this may use, for an
engine's processes are nobody's children: let nothing else run on them (``taskset`` keeps a core
apart). Memory is the largest resident set of any one process below the command, looked at twice a
second; it should not grow with the rows. Parts of all engines must be equal to the byte. Ray and
Spark need their extras.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from memory_tables import COMMAND, make_piece
from PIL import Image

FILE_ROWS, PIECE = 1_000_000, 100_000
FOLDER_IMAGES, SIDE, KINDS = 5_000, 128, 200
FEW = 1_500


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall: float
    cpu: float
    peak_mb: float


def write_rows(folder: Path, n_rows: int) -> None:
    """Write files of a million rows each."""
    folder.mkdir(exist_ok=True)
    for start in range(0, n_rows, FILE_ROWS):
        path = folder / f"part{start // FILE_ROWS:04d}.parquet"
        if path.exists():
            continue
        with pq.ParquetWriter(path, make_piece(0, 1).schema) as writer:
            for first in range(start, min(start + FILE_ROWS, n_rows), PIECE):
                writer.write_table(make_piece(first, min(PIECE, n_rows - first)))


def write_images(folder: Path, n_images: int) -> None:
    """Write grey images of a brushed surface: so many kinds, each file under a name of its own."""
    rng = np.random.default_rng(0)
    for kind in range(min(KINDS, n_images)):
        grain = rng.normal(0, 8, (SIDE, 1)) + rng.normal(0, 3, (SIDE, SIDE))
        image = Image.fromarray(np.clip(128 + grain, 0, 255).astype(np.uint8))
        first = folder / f"cam{kind // FOLDER_IMAGES:02d}" / f"{kind:06d}.png"
        first.parent.mkdir(parents=True, exist_ok=True)
        image.save(first)
        for number in range(kind + KINDS, n_images, KINDS):
            path = folder / f"cam{number // FOLDER_IMAGES:02d}" / f"{number:06d}.png"
            path.parent.mkdir(exist_ok=True)
            path.hardlink_to(first)


def machine_seconds() -> float:
    """Return the CPU seconds that the cores have worked which this process may use."""
    lines = map(str.split, Path("/proc/stat").read_text().splitlines())
    cores = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    return sum(sum(map(int, line[1:4])) for line in lines if line[0] in cores) / 100


def below(pid: int) -> Iterator[int]:
    """Yield a process and all that it has started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from below(int(child))


def largest_mb(pid: int) -> float:
    """Return the largest resident set so far of any process below one."""
    peak = 0.0
    try:
        for one in below(pid):
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    peak = max(peak, int(line.split()[1]) / 1000)
    except OSError:
        pass  # it has just ended
    return peak


def run(arguments: list[str]) -> Cost:
    """Run the command line to its end."""
    start, before, peak = time.perf_counter(), machine_seconds(), 0.0
    with tempfile.TemporaryFile("w+") as errors:
        job = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=errors
        )
        while job.poll() is None:
            peak = max(peak, largest_mb(job.pid))
            time.sleep(0.5)
        errors.seek(0)
        if job.returncode:
            said = errors.read()[-2000:]
            raise SystemExit(f"vae-anomaly {' '.join(arguments)} failed:\n{said}")
    return Cost(time.perf_counter() - start, machine_seconds() - before, peak)


def digests(out: Path) -> dict[str, str]:
    """Return the SHA-256 of each output file, as the manifest lists it."""
    parts = json.loads((out / "manifest.json").read_text())["partitions"]
    return {name: digest for part in parts for name, digest in part["files"].items()}


def compare(kind: str, model: Path, night: Path, n: int, engines: list[str], folder: Path) -> None:
    """Score a night by each engine; print what it took, and whether the outputs are equal."""
    first: dict[str, str] = {}
    for engine in engines:
        name, workers = engine.split(":")
        out = folder / f"out-{kind}-{n}-{name}-{workers}"
        words = ["score", kind, str(model), str(night), "--out", str(out), "--no-report"]
        cost = run([*words, "--engine", name, "--workers", workers])
        first = first or digests(out)
        print(
            f"{kind:6} {n:>12,}  {engine:8}  {cost.wall:7.0f} s wall  {cost.cpu:7.0f} s CPU  "
            f"{n / cost.cpu:8,.0f} a CPU second  {cost.peak_mb:6.0f} MB  "
            f"{'equal' if digests(out) == first else 'DIFFERENT'}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000_000])
    parser.add_argument("--images", type=int, nargs="*", default=[])
    parser.add_argument("--engines", nargs="+", default=["local:1", "local:2", "ray:1", "ray:2"])
    parser.add_argument("--preset", choices=["fast", "default", "thorough"], default="default")
    given = parser.parse_args()
    common = ["--no-register", "--preset", given.preset]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if given.rows:
            few, model = folder / "few.parquet", folder / "model-table"
            pq.write_table(make_piece(0, 20 * FEW), few)
            run(
                ["train", "table", str(few), "--out", str(model), "--id-column", "part_id", *common]
            )
        for n in given.rows:
            write_rows(folder / "days", n)
            compare("table", model, folder / "days", n, given.engines, folder)
        for n in given.images:
            few, model, night = folder / "few", folder / "model-images", folder / f"night{n}"
            write_images(few, 100)
            if not model.exists():
                run(["train", "images", str(few), "--out", str(model), *common])
            write_images(night, n)
            compare("images", model, night, n, given.engines, folder)


if __name__ == "__main__":
    main()
