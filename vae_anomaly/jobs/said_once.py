"""Say once that latents collapse: what warns of it before a training, and after it, are two."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from vae_anomaly.detectors.images.fit import pixels
from vae_anomaly.detectors.tabular import detector as tables
from vae_anomaly.detectors.tabular.fit import collapse
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
