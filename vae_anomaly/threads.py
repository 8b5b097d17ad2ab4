"""How many threads compute, and how they wait: a sane policy for machines that others share.

Threads of one computation wait for each other many times a second. Where another process holds one
of their cores, OpenMP's threads spin meanwhile: two threads on two busy cores have been measured to
take ten times as long as one thread and more (``benchmarks/threads.py``). So commands take half of
the cores that this process may use, and their threads sleep while they wait. Importing the package
changes nothing; what the user has set in the environment counts.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vae_anomaly.errors import ConfigError

NUMBER_VARIABLE: Final = "OMP_NUM_THREADS"
WAIT_VARIABLES: Final = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
"""How OpenMP's threads are told to sleep; read when torch is loaded."""
_MOST: Final = 8

_CGROUPS: Final = Path("/sys/fs/cgroup")
logger = logging.getLogger(__name__)


def allowed_cores() -> int:
    """Return how many cores this process may use: by its affinity and its control group's quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = [quota for quota in (_quota(folder) for folder in _groups()) if quota is not None]
    return max(1, min(cores, *(int(quota) for quota in quotas)) if quotas else cores)


def default_threads() -> int:
    """Return half of the allowed cores, from 1 to 8."""
    return min(_MOST, max(1, allowed_cores() // 2))


def threads_of_a_worker(workers: int) -> int:
    """Return the threads of each of several processes, which share the allowed cores.

    As many as were asked for by the variable ``OMP_NUM_THREADS``, else `default_threads`; but no
    more than the cores that there are for each, so that workers x threads fit.
    """
    share = max(1, allowed_cores() // workers)
    asked = _asked() or default_threads()
    if asked > share and _asked():
        logger.info("%d workers of %d threads each: so many cores there are", workers, share)
    return min(asked, share)


@contextmanager
def thread_policy(threads: int | None = None) -> Iterator[None]:
    """Set threads and waiting for what is computed in the block, and put all back afterwards.

    Variables that are set already count, but for the number of ``threads`` where one is given.
    """
    names = (NUMBER_VARIABLE, *WAIT_VARIABLES)
    before, loaded = {name: os.environ.get(name) for name in names}, _torch_threads()
    for name, value in {NUMBER_VARIABLE: str(default_threads()), **WAIT_VARIABLES}.items():
        os.environ.setdefault(name, value)
    try:
        if threads is not None:
            ask_threads(threads)
        yield
    finally:
        for name, was in before.items():
            if was is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = was
        if loaded is not None:
            _set_torch_threads(loaded)


def ask_threads(threads: int) -> None:
    """Let so many threads compute, here and in workers, until `thread_policy` ends.

    Raises
    ------
    ConfigError
        If it is no whole number from 1.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ConfigError(f"threads must be a whole number from 1; got {threads!r}.")
    os.environ[NUMBER_VARIABLE] = str(threads)
    _set_torch_threads(threads)


def _asked() -> int | None:
    """Return the number in the environment, None where there is none that can be used."""
    first = os.environ.get(NUMBER_VARIABLE, "").split(",")[0].strip()
    return int(first) if first.isdigit() and int(first) > 0 else None


def _torch_threads() -> int | None:
    """Return how many threads torch has, None where it is not loaded."""
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def _set_torch_threads(threads: int) -> None:
    """Tell torch where it is loaded; else it reads the variable when it is."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def _groups() -> Iterator[Path]:
    """Yield the control groups of this process and those above them."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = _CGROUPS / controllers if controllers else _CGROUPS
        group = root / path.lstrip("/")
        yield group
        yield from (parent for parent in group.parents if parent.is_relative_to(root))


def _quota(group: Path) -> float | None:
    """Return the cores that a control group may use at once, None where it has no bound."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (group / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        return float(quota) / float(period) if quota not in {"max", "-1"} else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
