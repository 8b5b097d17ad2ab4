"""How a CSV is written: its encoding, its delimiter and the names in its header.

All of it is read from the file's beginning. Text is UTF-8, or UTF-16 with or without a byte order
mark. The delimiter is what a first line ``sep=;`` says, else what cuts the first rows into as many
cells as the header, else what the header holds most of.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Final, Protocol

from vae_anomaly.data.tables.files.faults import at_line, empty_text, not_utf8
from vae_anomaly.data.tables.files.packed import open_text, refuse_disguised
from vae_anomaly.data.tables.files.records import LINE_END, MOST_BYTES, n_lines, quoted_spans
from vae_anomaly.errors import DataError
from vae_anomaly.words import reason_of

DELIMITERS: Final = (",", ";", "\t", "|")
_OTHER_DELIMITERS: Final = {
    r"\^": "'^', which is read where the first line says sep=^",
    "~": "'~', which is read where the first line says sep=~",
    ":": "':', which is read where the first line says sep=:",
    "\x01": "the byte 01, as Hive writes it",
    r"\s{2,}": "spaces",
}
_HEAD_BYTES: Final = 1 << 16
_ROWS_LOOKED_AT: Final = 50
_SEPARATOR: Final = re.compile(r"\s*sep=(.)\s*", re.IGNORECASE | re.DOTALL)
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


class CellReader(Protocol):
    """What reads records one by one, and counts the lines that it has read."""

    line_num: int

    def __iter__(self) -> CellReader:
        """Return itself."""

    def __next__(self) -> list[str]:
        """Return the next record's cells; none for an empty line."""


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written.

    Parameters
    ----------
    encoding : str
        Of its text.
    mark_bytes : int
        Bytes of the byte order mark.
    delimiter : str
        One ASCII character.
    names : tuple of str
        The cells of its header, distinct but for blank ones.
    header_bytes : int
        What the header and all before it take, without the mark, in UTF-8.
    line : int
        Number of the first line after the header.
    """

    encoding: str
    mark_bytes: int
    delimiter: str
    names: tuple[str, ...]
    header_bytes: int
    line: int


@dataclass(frozen=True)
class _Head:
    """The beginning of a text: all of it, or as much as holds the header."""

    path: Path
    text: bytes  # in UTF-8
    is_all: bool


def dialect_of(path: Path) -> Dialect:
    """Tell how a CSV is written, from its beginning; once as long as it does not change.

    Raises `DataError` if it is no text, has nothing but empty lines, or two columns of one name.
    """
    facts = path.stat()
    return _read_once(path, facts.st_size, facts.st_mtime_ns)


def rows_of(text: str, delimiter: str) -> CellReader:
    """Return the cells of each record of some text, one by one; for a look, not for a table."""
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def utf8_chunks(file: IO[bytes], dialect: Dialect, n_bytes: int) -> Iterator[bytes]:
    """Yield the text after the header in chunks, as UTF-8; UnicodeError where it cannot be told."""
    skip = dialect.header_bytes
    for chunk in _utf8(file, dialect.encoding, dialect.mark_bytes, n_bytes):
        if len(chunk) > skip:
            yield chunk[skip:]
        skip = max(0, skip - len(chunk))


@lru_cache(maxsize=256)
def _read_once(path: Path, size_bytes: int, mtime_ns: int) -> Dialect:
    with open_text(path) as file:
        first = file.read(_HEAD_BYTES)
    refuse_disguised(path, first)
    encoding, mark_bytes = _encoding_of(path, first)
    n_bytes = _HEAD_BYTES
    while True:
        head = _head(path, encoding, mark_bytes, n_bytes)
        found = _dialect(head, encoding, mark_bytes)
        if found is not None:
            return found
        n_bytes *= 4


def _utf8(file: IO[bytes], encoding: str, mark_bytes: int, n_bytes: int) -> Iterator[bytes]:
    file.read(mark_bytes)
    if encoding == "utf-8":
        yield from iter(lambda: file.read(n_bytes), b"")
    else:
        decode = codecs.getincrementaldecoder(encoding)().decode
        for chunk in iter(lambda: file.read(n_bytes), b""):
            yield decode(chunk).encode()
        yield decode(b"", True).encode()


def _encoding_of(path: Path, first: bytes) -> tuple[str, int]:
    """Return the encoding that a byte order mark or the zero bytes of UTF-16 tell, and its mark."""
    for mark, encoding in _MARKS.items():
        if first.startswith(mark):
            return encoding, len(mark)
    even, odd = first[::2].count(0), first[1::2].count(0)
    if max(even, odd) > 4 * min(even, odd):
        return "utf-16-le" if odd > even else "utf-16-be", 0
    if even or odd:
        raise at_line(path, n_lines(first[: first.index(0)]) + 1, ZERO_BYTES)
    return "utf-8", 0


ZERO_BYTES: Final = (
    "zero bytes stand there, as in a file that was not written to its end. Write it again, or "
    "leave it out."
)


def _head(path: Path, encoding: str, mark_bytes: int, n_bytes: int) -> _Head:
    text = b""
    with open_text(path) as file:
        try:
            for chunk in _utf8(file, encoding, mark_bytes, n_bytes):
                text += chunk
                if len(text) >= n_bytes:
                    return _Head(path, text, is_all=False)
        except UnicodeError as err:
            raise at_line(
                path, n_lines(text) + 1, f"the text is not {encoding}: {reason_of(err)}."
            ) from None
    return _Head(path, text, is_all=True)


def _dialect(head: _Head, encoding: str, mark_bytes: int) -> Dialect | None:
    """Return the dialect; None where more of the text must be looked at."""
    start, separator = _header_start(head)
    end = _header_end(head, start)
    if end is None:
        return None
    header, body = _decoded(head, start, end), _decoded(head, end, len(head.text))
    delimiter = separator or _delimiter(header, body, head.is_all)
    line = 1 + n_lines(head.text[:end])
    try:
        names = next(rows_of(header, delimiter))
    except csv.Error as err:
        raise at_line(
            head.path, line - 1, f"the header cannot be read: {reason_of(err)}."
        ) from None
    names[0] = names[0].lstrip("\ufeff")
    _refuse_repeated(head.path, names)
    _refuse_quoted_lines(head.path, names, body, delimiter)
    _refuse_other_delimiter(head.path, names, body, separator)
    return Dialect(encoding, mark_bytes, delimiter, tuple(names), end, line)


def _header_start(head: _Head) -> tuple[int, str | None]:
    """Return where the header starts, after empty lines and ``sep=;``, and that delimiter."""
    start, separator = 0, None
    for found in LINE_END.finditer(head.text + b"\n"):
        line = head.text[start : found.start()].decode(errors="replace")
        told = _SEPARATOR.fullmatch(line)
        if told and told[1].isascii():
            separator = told[1]
        elif line.strip("\ufeff \t"):
            return start, separator
        start = found.end()
    raise empty_text(head.path)


def _header_end(head: _Head, start: int) -> int | None:
    """Return where the header's record ends; None where that is not to be seen yet."""
    text = head.text[start:]
    spans = quoted_spans(text, "".join(DELIMITERS).encode())
    for found in LINE_END.finditer(text):
        if not any(low < found.start() < high for low, high in spans.tolist()):
            whole = found.end() < len(text) or head.is_all
            return start + found.end() if whole else None
    if head.is_all and (not len(spans) or spans[-1, 1] < len(text)):
        return len(head.text)
    if head.is_all or len(text) > MOST_BYTES:
        raise at_line(head.path, n_lines(head.text[:start]) + 1, UNCLOSED)
    return None


UNCLOSED: Final = (
    "a quote opens a cell there that is never closed. Remove the quote, or double every quote "
    'inside a quoted cell ("").'
)


def _decoded(head: _Head, start: int, end: int) -> str:
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(head.text[start:end], head.is_all)
    except UnicodeDecodeError as err:
        raise not_utf8(head.path, n_lines(head.text[: start + err.start]) + 1) from None


def _delimiter(header: str, body: str, is_all: bool) -> str:
    """Take the delimiter that rows and header agree on, else what the header holds most of."""
    bare = re.sub(r'"[^"]*"', "", header)
    held = sorted((d for d in DELIMITERS if d in bare), key=bare.count, reverse=True)
    fitting = (d for d in held if _fits(header, body, d, is_all))
    return next(fitting, held[0] if held else ",")


def _fits(header: str, body: str, delimiter: str, is_all: bool) -> bool:
    """Tell whether the first rows have as many cells as the header."""
    try:
        width = len(next(rows_of(header, delimiter)))
        rows = [row for row in islice(rows_of(body, delimiter), _ROWS_LOOKED_AT) if row]
    except csv.Error:
        return False
    whole = rows if is_all or len(rows) == _ROWS_LOOKED_AT else rows[:-1]
    return all(len(row) == width for row in whole)


def _refuse_quoted_lines(path: Path, names: list[str], body: str, delimiter: str) -> None:
    """Refuse a file whose lines stand in quotes as a whole, which is one column of all cells."""
    if len(names) > 1:
        return
    cells = [row[0] for row in islice(rows_of(body, delimiter), 1) if row]
    inside = [d for d in DELIMITERS if d in names[0]]
    if inside and cells and all(cells[0].count(d) == names[0].count(d) for d in inside):
        raise DataError(
            f"{path} has one column, called {names[0]!r}: its lines stand in quotes as a whole. "
            "Export it again with quotes around single cells, or without."
        )


def _refuse_other_delimiter(path: Path, names: list[str], body: str, separator: str | None) -> None:
    """Refuse one column whose header and rows are cut alike by what is no delimiter by itself."""
    if len(names) > 1 or separator is not None:
        return
    lines = [line.strip() for line in islice(body.splitlines(), _ROWS_LOOKED_AT) if line.strip()]
    whole = lines[:-1] or lines
    for mark, said in _OTHER_DELIMITERS.items():
        width = len(re.split(mark, names[0].strip()))
        if width > 1 and whole and all(len(re.split(mark, line)) == width for line in whole):
            raise DataError(
                f"{path} has one column, called {names[0]!r}: its cells seem to be parted by "
                f"{said}. Export it again with commas."
            )


def _refuse_repeated(path: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if name.strip() and names.count(name) > 1})
    if twice:
        raise DataError(
            f"{path} has more than one column {twice[0]!r}. Rename or drop the copies; if the file "
            "has no header line, write the names of the columns into one."
        )
