"""Logs of a job: for people, or one JSON object a line for programs; never a row's data."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TextIO

from vae_anomaly.names import legible

FIELDS = ("event", "run", "partition", "counts")


class JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON: ts, level, logger, message, and what the event carries.

    ``event``, ``run``, ``partition`` and ``counts`` come from the ``extra`` of the logging call.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "ts": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": legible(record.getMessage()),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = legible(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr(
    *, as_json: bool = False, level: int = logging.INFO, stream: TextIO | None = None
) -> logging.Handler:
    """Send the package's logs to stderr; for programs, never called by the library itself.

    Parameters
    ----------
    as_json : bool
        One JSON object a line.
    level : int
        From which level on.
    stream : file, optional
        Instead of stderr.

    Returns
    -------
    handler : logging.Handler
        To take off again with ``logging.getLogger("vae_anomaly").removeHandler``.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    text = "%(asctime)s %(levelname)s %(message)s"
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter(text))
    root = logging.getLogger("vae_anomaly")
    root.addHandler(handler)
    root.setLevel(level)
    return handler
