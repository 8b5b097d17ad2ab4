"""How long the answer of a server may take: one that drips byte by byte is given up.

A timeout of `requests` begins anew with every byte, so a server that sends one a second is waited
for without end. Here an answer, its headers and its body, has `PATIENCE_S` in all, and one second
more for every `LEAST_RATE` bytes that came: a large download may take its time if it goes on.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PATIENCE_S: Final = 30.0
LEAST_RATE: Final = 10_000.0  # bytes a second


class _Answer(io.RawIOBase):
    """What comes from a socket, for as long as it comes fast enough."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._socket, self._timeout_s = raw, sock, sock.gettimeout()
        self._begun, self._n_bytes = time.monotonic(), 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """Read what is there; TimeoutError where all of it takes too long."""
        allowed_s = PATIENCE_S + self._n_bytes / LEAST_RATE
        left_s = self._begun + allowed_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"timed out: {self._n_bytes:,} bytes in {allowed_s:.0f} s")
        self._socket.settimeout(min(left_s, self._timeout_s or left_s))
        count: int | None = self._raw.readinto(buffer)
        self._n_bytes += count or 0
        return count

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._raw.fileno()

    def close(self) -> None:
        """Close what it reads from."""
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """An HTTP response whose bytes come through `_Answer`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Answer(self.fp.detach(), sock))


@contextmanager
def bounded_answers() -> Iterator[None]:
    """Bound the answers to all that `requests` asks inside the block."""
    from urllib3.connection import HTTPConnection

    before = HTTPConnection.response_class
    HTTPConnection.response_class = _Response
    try:
        yield
    finally:
        HTTPConnection.response_class = before
