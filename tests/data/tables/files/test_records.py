"""Text is cut where records end, whatever quotes and line ends it holds."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.tables.files.records import UnclosedCellError, n_lines, whole_records

CELLS = st.text(st.sampled_from('ab",\n\r 1'), max_size=5)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def written(rows: list[list[str]], end: str, *, all_quoted: bool) -> bytes:
    return "".join(
        ",".join(_quoted(cell, all_quoted) for cell in row) + end for row in rows
    ).encode()


def _quoted(cell: str, always: bool) -> str:
    return '"' + cell.replace('"', '""') + '"' if always or set(cell) & set('",\r\n') else cell


def cut(data: bytes, size: int) -> list[tuple[int, bytes]]:
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    return [(block.line, block.data) for block in whole_records(chunks, b",")]


@settings(max_examples=150)
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=8),
    ENDS,
    st.booleans(),
    st.integers(1, 40),
)
def test_blocks_hold_whole_records_however_the_text_is_cut(rows, end, all_quoted, size):
    data = written(rows, end, all_quoted=all_quoted)
    blocks = cut(data, size)
    assert b"".join(block for _, block in blocks) == data
    read = [csv.reader(io.StringIO(block.decode(), newline="")) for _, block in blocks]
    assert [row for reader in read for row in reader] == rows
    before = 0
    for line, block in blocks:
        assert line == 1 + n_lines(data[:before])
        before += len(block)


@given(st.lists(st.text(st.sampled_from('ab",\n'), max_size=6), min_size=1), st.integers(1, 30))
def test_where_quotes_stand_astray_the_cut_depends_on_no_chunk(lines, size):
    data = ("\n".join(lines) + "\n").encode()
    assert whole_or_line(data, size) == whole_or_line(data, len(data))


def whole_or_line(data: bytes, size: int) -> list[list[str]] | int:
    """Return the records of all blocks, or the line of a quote that is never closed."""
    try:
        blocks = cut(data, size)
    except UnclosedCellError as err:
        return err.line
    readers = [csv.reader(io.StringIO(block.decode(), newline="")) for _, block in blocks]
    rows = [row for reader in readers for row in reader]
    assert rows == [*csv.reader(io.StringIO(data.decode(), newline=""))]
    return rows


def test_the_line_of_a_quote_that_is_never_closed_is_told():
    with pytest.raises(UnclosedCellError) as caught:
        cut(b'1,2\n3,4\n5,"6\n7,8\n', 5)
    assert caught.value.line == 3
