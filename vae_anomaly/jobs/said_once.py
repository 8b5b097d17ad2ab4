"""Say once what a training has to say: of a collapse before and after it, of what it left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from vae_anomaly.detectors import base
from vae_anomaly.detectors.images.fit import pixels
from vae_anomaly.detectors.tabular import detector as tables
from vae_anomaly.detectors.tabular.fit import collapse
from vae_anomaly.scoring.outliers import LEFT_OUT
from vae_anomaly.vae import diagnostics

_SPEAKERS = [logging.getLogger(room.__name__) for room in (diagnostics, collapse, tables, pixels)]


class _FirstOnly(logging.Filter):
    """Let the first record on a posterior collapse pass, and everything else."""

    said = False

    def filter(self, record: logging.LogRecord) -> bool:
        if "posterior collapse" not in record.getMessage().lower():
            return True
        first, self.said = not self.said, True
        return first


class _NotLeftOut(logging.Filter):
    """Let all pass but what was left out: the report of a job names it, with its image."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(LEFT_OUT)


@contextmanager
def left_out_is_reported() -> Iterator[None]:
    """Leave it to the report of a training to name what it left out."""
    speaker, silent = logging.getLogger(base.__name__), _NotLeftOut()
    speaker.addFilter(silent)
    try:
        yield
    finally:
        speaker.removeFilter(silent)


@contextmanager
def collapse_said_once() -> Iterator[None]:
    """Let a training warn of a posterior collapse once: as soon as it is known."""
    once = _FirstOnly()
    for speaker in _SPEAKERS:
        speaker.addFilter(once)
    try:
        yield
    finally:
        for speaker in _SPEAKERS:
            speaker.removeFilter(once)
