"""stdout and stderr of the process: there at all, and outliving whoever reads them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from vae_anomaly.errors import StorageError
from vae_anomaly.names import LEGIBLE_ERRORS

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDERR = 2
_STRICT = {"strict", "backslashreplace", "surrogateescape"}  # what Python gives its own streams


class _Descriptor(io.FileIO):
    """A descriptor of which a reader may have enough before the job is done.

    What is written after that (``| head -1``) is dropped: no reason to end a job, or to call a
    finished one failed. Results that a full disk does not take are a StorageError.
    """

    lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write for as long as there is who takes it."""
        if self.lost:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as err:
            self.lost = True
            if not isinstance(err, BrokenPipeError) and self.fileno() != STDERR:
                raise StorageError(
                    f"The results cannot be written to stdout: {err.strerror}. Files that the "
                    "command has written are complete; let stdout lead to where there is room."
                ) from err
            return memoryview(data).nbytes


def open_text(number: int, like: TextIO, *, closes: bool = False) -> TextIO:
    """Open a descriptor for text in the encoding of another stream; its reader may leave.

    A sign that this encoding does not have (a euro in latin-1) is written as JSON and Python do,
    and a name of a file as `vae_anomaly.names` spells it.
    """
    raw = _Descriptor(number, "w", closefd=closes)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding,
        errors=LEGIBLE_ERRORS if like.errors in _STRICT else like.errors,
        line_buffering=bool(like.line_buffering),
    )


@contextmanager
def standard_streams() -> Iterator[None]:
    """Let stdout and stderr of the process outlive their readers, and be there at all.

    A job that is started with one of them closed (``>&-``) would print into the first file that it
    opens. Streams that a caller has put in their place stay.
    """
    for number in (1, STDERR):
        _occupy(number)
    with ExitStack() as after:
        after.enter_context(redirect_stdout(_outliving(sys.stdout, 1, after)))
        after.enter_context(redirect_stderr(_outliving(sys.stderr, STDERR, after)))
        yield


def _occupy(number: int) -> None:
    """Let a closed descriptor lead to nowhere, so that no file gets its number."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_WRONLY)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def _outliving(stream: TextIO | None, number: int, after: ExitStack) -> TextIO:
    if stream is None:
        return after.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
    if not leads_to(stream, number):
        _spell_names(stream, after)
        return stream
    stream.flush()
    own = open_text(number, stream)
    after.callback(_flush, own)
    return own


def _spell_names(stream: TextIO, after: ExitStack) -> None:
    """Let a stream of the caller's take names that its encoding does not have, for as long."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors=LEGIBLE_ERRORS)
        after.callback(stream.reconfigure, errors="strict")


def leads_to(stream: TextIO, number: int) -> bool:
    """Tell whether a stream writes to this descriptor; one in memory has none."""
    try:
        return stream.fileno() == number
    except (OSError, ValueError):
        return False


def _flush(stream: TextIO) -> None:
    with suppress(OSError):
        stream.flush()
