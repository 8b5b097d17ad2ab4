"""Logs of a job: for people, or one JSON object a line for programs; never a row's data."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Final, TextIO

from vae_anomaly.names import legible

_STDERR: Final = 2
_PATIENCE_S: Final = 2.0  # with processes that keep stderr open
FIELDS = ("event", "run", "partition", "counts", "exit_code")


class JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON: ts, level, logger, message, and what the event carries.

    Its `FIELDS` come from the ``extra`` of the logging call.
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


class JsonLines(io.TextIOBase):
    """A stream of text on which every line is a JSON object, whoever writes to it.

    What `JsonFormatter` has made stays. All else, such as a warning of a library, becomes the
    message of one.

    Parameters
    ----------
    stream : file
        Where the lines go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._formatter, self._begun = stream, JsonFormatter(), ""

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str, /) -> int:
        """Write text; a line that is not yet ended waits for its end."""
        whole, _, self._begun = (self._begun + text).rpartition("\n")
        if whole.strip():
            self._put(whole if _is_json(whole) else self._line(logging.INFO, whole.strip()))
        return len(text)

    def flush(self) -> None:
        """Pass on what was written in whole lines."""
        self._stream.flush()

    def fileno(self) -> int:
        """Return the descriptor below it."""
        return self._stream.fileno()

    def tell_error(self, message: str, exit_code: int, error: BaseException | None = None) -> None:
        """Write how a job has ended; with ``error`` its traceback as well."""
        self._put(self._line(logging.ERROR, message, error, event="error", exit_code=exit_code))

    def close(self) -> None:
        """Write what was begun; the stream below stays open."""
        if not self.closed:
            self.write("\n")
            self.flush()
        super().close()

    def _line(
        self, level: int, message: str, error: BaseException | None = None, **fields: object
    ) -> str:
        info = None if error is None else (type(error), error, error.__traceback__)
        record = logging.LogRecord("vae_anomaly", level, "", 0, message, None, info)
        vars(record).update(fields)
        return self._formatter.format(record)

    def _put(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self.flush()


def _is_json(text: str) -> bool:
    """Tell whether every line is an object of JSON."""
    try:
        return all(isinstance(json.loads(line), dict) for line in text.split("\n"))
    except ValueError:
        return False


@contextmanager
def json_lines(wanted: bool) -> Iterator[None]:
    """Keep stderr for objects of JSON inside the block, where wanted."""
    if not wanted:
        yield
        return
    with _apart_from_below() as stderr, JsonLines(stderr) as stream, redirect_stderr(stream):
        yield


@contextmanager
def _apart_from_below() -> Iterator[TextIO]:
    """Yield a stream to where stderr leads, and write to it what comes from below Python.

    Libraries in C, such as one that decodes images, print to the descriptor of stderr itself. Each
    of their lines becomes an object of JSON; those of workers are some already.
    """
    if not _is_descriptor(sys.stderr):
        yield sys.stderr
        return
    sys.stderr.flush()
    ours, (reading, writing) = os.dup(_STDERR), os.pipe()
    with open(ours, "w", encoding="utf-8", errors="backslashreplace") as stream:  # noqa: PTH123 - a descriptor
        os.dup2(writing, _STDERR)
        os.close(writing)
        passing = threading.Thread(target=_pass_on, args=(reading, stream), daemon=True)
        passing.start()
        try:
            yield stream
        finally:
            os.dup2(ours, _STDERR)  # with which the last writer of this process is gone
            passing.join(timeout=_PATIENCE_S)


def _pass_on(reading: int, stream: TextIO) -> None:
    with (
        suppress(ValueError),  # the stream is closed, and somebody still writes
        open(reading, encoding="utf-8", errors="backslashreplace") as lines,
        JsonLines(stream) as out,
    ):
        for line in lines:
            out.write(line)


def _is_descriptor(stream: TextIO) -> bool:
    """Tell whether a stream is that of the process, and no test's or notebook's."""
    try:
        return stream.fileno() == _STDERR
    except (OSError, ValueError, AttributeError):
        return False


def tell_error(message: str, exit_code: int, *, label: str = "Error: ") -> int:
    """Say on stderr why a job ends, as its other lines are, and return the exit code."""
    if isinstance(sys.stderr, JsonLines):
        sys.stderr.tell_error(message, exit_code)
    else:
        sys.stderr.write(f"{label}{message}\n")
    return exit_code


def told_as_json(error: Exception) -> bool:
    """Say what nobody has foreseen, with its traceback, where stderr is kept for JSON."""
    if not isinstance(sys.stderr, JsonLines):
        return False
    sys.stderr.tell_error(f"{type(error).__name__}: {error}", 1, error)
    return True
