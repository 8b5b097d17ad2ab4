"""A line with too few or too many cells costs that row, and no other row its number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.data.tables.files.text import text_batches
from vae_anomaly.data.tables.read import iter_batches, read_table
from vae_anomaly.errors import DataError

WHOLE, SHORT, LONG = "{n},word,7", "{n},word", "{n},word,7,8"


def written(path, lines, header="n,word,x"):
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@given(
    spoilt=st.sets(st.integers(0, 59), max_size=20),
    batch_rows=st.integers(1, 70),
)
def test_ragged_rows_are_told_once_with_row_and_line_and_the_others_keep_their_numbers(
    tmp_path_factory, spoilt, batch_rows
):
    lines = [
        (WHOLE if n not in spoilt else SHORT if n % 2 else LONG).format(n=n) for n in range(60)
    ]
    path = written(tmp_path_factory.getbasetemp() / "ragged.csv", lines)
    told = []
    frames = list(iter_batches(path, batch_rows, ragged=told.append))
    assert [(row.row, row.line) for row in told] == [(n, n + 2) for n in sorted(spoilt)]
    numbers = np.concatenate([np.asarray(frame.index) for frame in frames])
    assert numbers.tolist() == [n for n in range(60) if n not in spoilt]
    assert np.concatenate([frame["n"] for frame in frames]).tolist() == numbers.tolist()


def test_blocks_of_any_size_tell_the_same_rows(tmp_path):
    lines = [(SHORT if n % 5 == 3 else WHOLE).format(n=n) for n in range(60)]
    path = written(tmp_path / "t.csv", lines)
    for block_bytes in (90, 300, 1 << 22):
        told = []
        for _ in text_batches(path, 7, block_bytes=block_bytes, ragged=told.append):
            pass
        assert [row.row for row in told] == list(range(3, 60, 5))


def test_a_whole_table_is_numbered_alike(tmp_path):
    path = written(tmp_path / "t.csv", ["0,a,1", "1,b", "", "2,c,3"])
    told = []
    assert read_table(path, ragged=told.append).index.tolist() == [0, 2]
    ((row, line, reason),) = [(one.row, one.line, one.reason) for one in told]
    assert (row, line) == (1, 3)
    assert reason.startswith("2 cells, where the header has 3: '1,b'.")


REFUSED = {
    "most lines": (["0,a,1,", "1,b,2,", "2,c,3"], "line 2: 4 cells.*end with ','"),
    "stray quote over lines": (
        [*[f"{n},w,1" for n in range(9)], '9,"w,1', "10,w,1", '11,w",1,2', "12,w,1"],
        "line 11: a (row of 3 lines|quote)",
    ),
    "no text": (["0,a,1", "1,b\udcff", "2,c,3"], "line 3: the text is not UTF-8"),
    "open quote": (["0,a,1", '1,"b', "2,c,3"], "line 3: a quote opens a cell"),
}


@pytest.mark.parametrize(("lines", "told"), REFUSED.values(), ids=REFUSED)
def test_what_may_hide_more_than_one_row_is_refused_as_a_file(tmp_path, lines, told):
    path = tmp_path / "t.csv"
    path.write_bytes("\n".join(["n,word,x", *lines, ""]).encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=told):
        list(iter_batches(path, ragged=lambda _: None))
