"""What is to be done once, although an answer may be lost when it was done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from vae_anomaly.tracking.network.answers import is_outage

RETRIES: Final = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_WAIT_S: Final = 1.0
OnceMade = TypeVar("OnceMade")


def once(make: Callable[[], OnceMade], made: Callable[[], OnceMade | None]) -> OnceMade:
    """Make something, as often as MLflow would try; before each further try, look for it.

    MLflow itself sends a request again when the answer is lost, and so makes two.

    Parameters
    ----------
    make : callable
        One request of MLflow's client.
    made : callable
        Returns what an earlier try has made, None where there is nothing.
    """
    tries = _retries()
    for number in range(tries + 1):
        try:
            with _sent_once():
                return make()
        except Exception as err:
            if not is_outage(err):
                raise
            found = made()
            if found is not None:
                return found
            if number == tries:
                raise
        time.sleep(_WAIT_S * 2.0**number)
    raise AssertionError("unreachable")


def _retries() -> int:
    text = os.environ.get(RETRIES, "")
    return int(text) if text.isdigit() else 0


@contextmanager
def _sent_once() -> Iterator[None]:
    """Let MLflow send no request a second time."""
    before = os.environ.get(RETRIES)
    os.environ[RETRIES] = "0"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(RETRIES, None)
        else:
            os.environ[RETRIES] = before
