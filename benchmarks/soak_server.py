"""Run ``vae-anomaly`` in forks of a process that has everything loaded, for `soak.py`.

Each line of stdin is an order, JSON with ``args`` and ``log``. It is answered by two lines: the
number of the new process, which leads a group of its own, and, when it is gone, its exit status,
negative for a signal.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

MODULES = (
    "vae_anomaly.batch.images",
    "vae_anomaly.batch.tables",
    "vae_anomaly.cli.nights.score",
    "vae_anomaly.detectors.images.detector",
    "vae_anomaly.detectors.tabular.detector",
    "vae_anomaly.jobs.report.night.write",
)


def serve() -> None:
    """Take orders until stdin ends."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(order["args"], order["log"])
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(args: list[str], log: str) -> None:
    from vae_anomaly.cli import main

    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    main(args)


def load() -> None:
    """Import what scoring needs, so that a run is nothing but its work."""
    for name in MODULES:
        import_module(name)


if __name__ == "__main__":
    load()
    print("ready", flush=True)
    serve()
