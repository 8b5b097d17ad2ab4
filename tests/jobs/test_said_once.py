"""A posterior collapse is said once in a training, and by each fit of one's own as ever."""

from __future__ import annotations

import logging

from vae_anomaly.jobs.said_once import collapse_said_once

BEFORE = logging.getLogger("vae_anomaly.detectors.tabular.fit.collapse")
AFTER = logging.getLogger("vae_anomaly.detectors.tabular.detector")


def warn_of_all() -> None:
    BEFORE.warning("posterior collapse expected: 0 of %d", 8)
    AFTER.warning("posterior collapse: 0 of 8 latents are active")
    AFTER.warning("something else")


def test_the_first_who_knows_of_a_collapse_says_so_and_nobody_repeats_it(caplog):
    with collapse_said_once():
        warn_of_all()
    assert caplog.messages == ["posterior collapse expected: 0 of 8", "something else"]


def test_the_next_training_says_it_again_and_a_fit_without_a_job_says_all(caplog):
    for _ in range(2):
        with collapse_said_once():
            AFTER.warning("posterior collapse: 0 of 8 latents are active")
    assert len(caplog.messages) == 2
    warn_of_all()
    assert len(caplog.messages) == 5
