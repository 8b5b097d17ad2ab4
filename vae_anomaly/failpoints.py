"""Stop at a chosen step, to prove that a run survives being stopped there.

Only tests set ``VAE_ANOMALY_FAILPOINT``: ``STEP``, ``STEP:N`` (at the N-th time) or
``STEP:N:ACTION`` with the action ``kill`` (SIGKILL, the default), ``full`` (as if the disk were
full) or ``term`` (SIGTERM).
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from typing import Final

VARIABLE: Final = "VAE_ANOMALY_FAILPOINT"

FAILPOINTS: Final = (
    "locked",
    "ledger-open",
    "stale-removed",
    "manifest-withdrawn",
    "partition-started",
    "temp-written",
    "temp-synced",
    "renamed",
    "folder-synced",
    "partition-finished",
    "ledger-written",
    "before-manifest",
    "manifest-written",
)
"""Every step of a run, in order; those of a file are passed once for each file."""

_reached: Counter[str] = Counter()


def reach(step: str) -> None:
    """Note that a step was reached; do nothing more unless a test asked for it."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    _reached[step] += 1
    name, _, rest = wanted.partition(":")
    count, _, action = rest.partition(":")
    if name != step or _reached[step] != int(count or 1):
        return
    if action == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.kill(os.getpid(), signal.SIGTERM if action == "term" else signal.SIGKILL)
