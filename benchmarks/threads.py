"""Measure what threads are worth where other processes want the same cores.

    python benchmarks/threads.py                        each setting three times, medians
    python benchmarks/threads.py --repeats 5 --out threads.jsonl

A small training with repair VAEs (48 made-up surfaces of 128 pixels, 30 steps a network) and the
scoring of 96 images run in processes of their own, with one and two threads, with the waiting of
OpenMP threads as it comes, ``passive`` (they sleep) and ``active`` (they spin), alone and beside 1,
2 and 4 processes that this script starts and that compute without end. Seconds are wall-clock: run
it where nothing else does, or read medians; the load average stands in each line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from results_file import keep

SIDE, N_TRAIN, N_SCORE, STEPS = 128, 48, 96, 30
POLICIES: dict[str, dict[str, str]] = {
    "as it comes": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "spin 0": {"GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"},
    "active": {"OMP_WAIT_POLICY": "active"},
}
VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
SPIN = "while True: pass"


def main() -> None:
    """Measure each setting, interleaved so that a busy moment hits all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--loads", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--policies", nargs="+", default=list(POLICIES))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measured()))
        return
    settings = [
        (load, threads, policy)
        for load in given.loads
        for threads in given.threads
        for policy in (given.policies if threads > 1 else ["as it comes"])
    ]
    found: dict[tuple[int, int, str], list[dict[str, float]]] = {one: [] for one in settings}
    for _ in range(given.repeats):
        for one in settings:
            row = in_a_process(*one)
            found[one].append(row)
            if given.out:
                keep(
                    given.out, {**dict(zip(("load", "threads", "policy"), one, strict=True)), **row}
                )
    print("others  threads  waiting       train s  score s   cpu s   load average")
    for (load, threads, policy), rows in found.items():
        train, score, cpu, average = (
            statistics.median(row[name] for row in rows)
            for name in ("train_s", "score_s", "cpu_s", "load_average")
        )
        print(
            f"{load:6d} {threads:8d}  {policy:12s} {train:8.1f} {score:8.1f} {cpu:7.1f} "
            f"{average:9.1f}"
        )


def in_a_process(load: int, threads: int, policy: str) -> dict[str, float]:
    """Run one training and one scoring beside ``load`` busy processes."""
    outside = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment = {**outside, "OMP_NUM_THREADS": str(threads), **POLICIES[policy]}
    with busy(load):
        done = subprocess.run(  # noqa: S603 - this file
            [sys.executable, __file__, "--child"],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
    row: dict[str, float] = json.loads(done.stdout)
    return row


@contextmanager
def busy(n: int) -> Iterator[None]:
    """Let n processes compute without end while the block runs."""
    command = [sys.executable, "-c", SPIN]
    others = [subprocess.Popen(command) for _ in range(n)]  # noqa: S603 - a loop of our own
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def measured() -> dict[str, Any]:
    """Train and score in this process, and return the seconds."""
    import numpy as np

    from vae_anomaly import ImageVAEDetector

    rng = np.random.default_rng(0)
    images = rng.normal(120, 10, (N_TRAIN + N_SCORE, SIDE, SIDE)).clip(0, 255).astype(np.uint8)
    detector = ImageVAEDetector(image_size=SIDE, max_steps=STEPS, random_state=0)
    began, cpu = time.perf_counter(), time.process_time()
    detector.fit(images[:N_TRAIN])
    trained = time.perf_counter()
    scores = detector.anomaly_score(images[N_TRAIN:])
    return {
        "train_s": trained - began,
        "score_s": time.perf_counter() - trained,
        "cpu_s": time.process_time() - cpu,
        "load_average": os.getloadavg()[0],
        "score": float(scores.sum()),
    }


if __name__ == "__main__":
    main()
