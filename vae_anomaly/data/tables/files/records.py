"""Cut the text of a CSV into blocks of whole records, and tell the lines that they begin at.

A quote opens a cell only where the cell begins, as RFC 4180 says; elsewhere it is text. Line ends
within quotes belong to the cell, whichever of LF, CRLF and CR they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import Ints

MOST_BYTES: Final = 1 << 24  # of one record; a spreadsheet's cell has at most 2^15 characters
_QUOTE, _LF, _CR = b'"\n\r'
LINE_END: Final = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True)
class Block:
    """Whole records, and the number of the line at which the first of them begins."""

    data: bytes
    line: int


class UnclosedCellError(ValueError):
    """A quoted cell that never ends; ``line`` is where it begins."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def whole_records(chunks: Iterable[bytes], delimiters: bytes, line: int = 1) -> Iterator[Block]:
    """Cut text into blocks of whole records, about as long as the chunks that it comes in.

    ``delimiters`` are what may stand before a cell. Raises `UnclosedCellError` where a quoted cell
    does not end before the text, or within 16 MiB.
    """
    rest = b""
    for chunk in chunks:
        rest += chunk
        end = end_of_records(rest, delimiters)
        if end:
            yield Block(rest[:end], line)
            line += n_lines(rest[:end])
            rest = rest[end:]
        elif len(rest) > MOST_BYTES:
            break
    if rest:
        opened = quoted_spans(rest, delimiters)[:, 1] == len(rest)
        if opened.any() or len(rest) > MOST_BYTES:
            start = int(quoted_spans(rest, delimiters)[-1, 0]) if opened.any() else 0
            raise UnclosedCellError(line + n_lines(rest[:start]))
        yield Block(rest, line)


def end_of_records(data: bytes, delimiters: bytes) -> int:
    """Return where the last whole record of some text ends; 0 where none does."""
    spans = quoted_spans(data, delimiters)
    stop = len(data)
    while stop > 0:
        place = _last_line_end(data, stop)
        inside = np.searchsorted(spans[:, 0], place) - 1
        if place < 0 or inside < 0 or spans[inside, 1] < place:
            return place + 1
        stop = int(spans[inside, 0])
    return 0


def quoted_spans(data: bytes, delimiters: bytes) -> Ints:
    """Return where quoted cells begin and end, (N, 2): the places of their two quotes.

    A cell that is not closed ends at ``len(data)``. A doubled quote within a cell ends no cell,
    but may part its span in two that touch.
    """
    text = np.frombuffer(data, dtype=np.uint8)
    places = np.flatnonzero(text == _QUOTE)
    if len(places) % 2:
        places = np.append(places, len(data))
    spans = places.reshape(-1, 2)
    before = np.isin(text[spans[:, 0] - 1], [*delimiters, _LF, _CR, _QUOTE])
    before[spans[:, 0] == 0] = True
    closed = spans[spans[:, 1] < len(data) - 1, 1]
    after = np.isin(text[closed + 1], [*delimiters, _LF, _CR, _QUOTE])
    if before.all() and after.all():
        return spans
    return _spans_one_by_one(data, delimiters)


def n_lines(data: bytes) -> int:
    """Count the line ends in some text."""
    if b"\r" not in data:
        return data.count(b"\n")
    return len(LINE_END.findall(data))


def _last_line_end(data: bytes, stop: int) -> int:
    """Return the last place before ``stop`` at which a line ends for certain; -1 without any.

    A CR at the very end may be half of a CRLF.
    """
    feed = data.rfind(b"\n", 0, stop)
    return max(feed, data.rfind(b"\r", 0, min(stop, len(data) - 1)) if feed < 0 else -1)


def _spans_one_by_one(data: bytes, delimiters: bytes) -> Ints:
    """Find quoted cells where some quotes are text: what opens is decided from left to right."""
    opening = re.compile(rb'(?:\A|(?<=[%s\r\n]))"' % re.escape(delimiters))
    closing = re.compile(rb'[^"]*+(?:""[^"]*+)*+"')
    spans = []
    found = opening.search(data)
    while found:
        start = found.start()
        end = closing.match(data, start + 1)
        stop = end.end() - 1 if end else len(data)
        spans.append((start, stop))
        found = opening.search(data, stop + 1)
    return np.array(spans, dtype=np.int64).reshape(-1, 2)
