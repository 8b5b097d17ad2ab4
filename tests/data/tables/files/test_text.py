"""Every row of a CSV is read, or the line that cannot be read is named."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from vae_anomaly.data.tables.files import text_batches
from vae_anomaly.data.tables.read import count_rows, iter_batches, read_table
from vae_anomaly.errors import DataError


def put(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(path: Path, block_bytes: int = 1 << 22) -> list[list[str]]:
    tables = text_batches(path, 1000, block_bytes=block_bytes)
    return [list(row.values()) for table in tables for row in table.to_pylist()]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("last", [True, False], ids=["", "no last line end"])
@pytest.mark.parametrize("block_bytes", [1, 2, 3, 5, 8, 13, 1000])
def test_lines_end_as_they_like_and_blocks_are_cut_anywhere(tmp_path, end, last, block_bytes):
    cells = [["1", "a"], ["2", "b\r\nb"], ["3", ""], ["4", 'say "x", then']]
    lines = ["n,word", "1,a", '2,"b\r\nb"', "", "3,", '4,"say ""x"", then"']
    path = put(tmp_path / "t.csv", end.join(lines) + end * last)
    assert rows(path, block_bytes) == cells
    assert count_rows([path], 100) == 4


def test_line_ends_may_be_mixed(tmp_path):
    path = put(tmp_path / "t.csv", "a,b\r\n1,2\n3,4\r5,6\r\n\n7,8")
    for block_bytes in (1, 2, 3, 7, 100):
        assert rows(path, block_bytes) == [["1", "2"], ["3", "4"], ["5", "6"], ["7", "8"]]


def test_a_quote_inside_a_cell_is_text(tmp_path):
    path = put(tmp_path / "t.csv", 'n,pipe\n1,5" pipe\n2,6" pipe\n3,"7"" pipe"\n')
    for block_bytes in (1, 4, 100):
        assert [cell for _, cell in rows(path, block_bytes)] == ['5" pipe', '6" pipe', '7" pipe']


LINES = [f"{i},good {i},{i}.5" for i in range(1, 101)]
SWALLOWED = {
    "both at the front": ('11,"good 11,11.5', '81,"good 81,81.5'),
    "front and end": ('11,"good 11,11.5', '81,good 81",81.5'),
    "neighbours": ('11,"good 11,11.5', '12,good 12",12.5'),
    "first column": ('"11,good 11,11.5', '81",good 81,81.5'),
    "never closed": ('11,"good 11,11.5', "81,good 81,81.5"),
    "other columns": ('11,"good 11,11.5', '81,good 81,"81.5'),
}


@pytest.mark.parametrize("quoted", SWALLOWED.values(), ids=SWALLOWED)
@pytest.mark.parametrize("block_bytes", [50, 1 << 22])
def test_stray_quotes_that_swallow_rows_are_refused_with_the_line(tmp_path, quoted, block_bytes):
    lines = [*LINES]
    for line in quoted:
        lines[int(line.strip('"').split(",")[0].strip('"')) - 1] = line
    path = put(tmp_path / "t.csv", "\n".join(["n,word,x", *lines]) + "\n")
    with pytest.raises(DataError, match=r"line 12: .*(quote|cells)"):
        rows(path, block_bytes)


def test_text_of_several_lines_with_delimiters_is_no_row(tmp_path):
    address = '"12 Main St\nSpringfield, USA"'
    path = put(tmp_path / "t.csv", f"id,where\n1,{address}\n2,here\n3,{address}\n")
    assert next(cell for _, cell in rows(path)) == "12 Main St\nSpringfield, USA"
    assert len(rows(path)) == 3


FAULTS = {
    "too few": ("a,b,c\n1,2,3\n\n1,2\n", "line 4: 2 cells, where the header has 3: '1,2'"),
    "too many": ("a,b\n1,2\n1,2,3,4\n", "line 3: 4 cells, where the header has 2"),
    "after lines within quotes": ('a,b\n"x\ny\nz",2\n1\n', "line 5: 1 cell,"),
    "trailing delimiter": ("a;b\n1;2;\n3;4;\n", "line 2: 3 cells.*end with ';'. End the header"),
    "row names": ('a,b\n"1",2,3\n"2",4,5\n', "line 2: 3 cells.*give the header a name for it"),
    "title above": (
        "Report of May\n\na,b\n1,2\n",
        "line 3: 2 cells, where the header has 1.*above the header",
    ),
    "cut short": ("a,b\n1,2\n3", "line 3: 1 cell, where the header has 2"),
    "unnamed": ("a,,b\n1,,2\n1,x,2\n", "line 3: column 2 has no name in the header, and holds 'x'"),
    "unnamed text index": (",a\nx,1\ny,2\n", "line 2: column 1 has no name.*Name it"),
}


@pytest.mark.parametrize(("text", "told"), FAULTS.values(), ids=FAULTS)
def test_a_line_that_cannot_be_read_is_named(tmp_path, text, told):
    path = put(tmp_path / "t.csv", text)
    for read in (read_table, lambda path: list(iter_batches(path, 2)), rows):
        with pytest.raises(DataError, match=told):
            read(path)


def test_the_line_is_right_in_every_block(tmp_path):
    lines = [*LINES, "101,short"]
    path = put(tmp_path / "t.csv", "\r\n".join(["n,word,x", *lines]) + "\r\n")
    for block_bytes in (1, 100, 1 << 22):
        with pytest.raises(DataError, match="line 102: 2 cells"):
            rows(path, block_bytes)


def test_the_index_that_pandas_wrote_is_left_out_and_said(tmp_path, caplog):
    frame = pd.DataFrame({"a": [1, 2, 3], "b": list("xyz")}, index=[7, 3, 5])
    frame.to_csv(tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").to_dict("list") == frame.to_dict("list")
    assert caplog.text.count("it is left out") == 1


def test_columns_that_hold_nothing_need_no_name(tmp_path):
    path = put(tmp_path / "t.csv", "a; ;b;\n1;;2; \n3;;4;\n")
    assert read_table(path).to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    assert list(read_table(put(tmp_path / "e.csv", ",a\n"))) == ["a"]


def packed(content: bytes, path: Path) -> Path:
    """Write content packed as the name of the file says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("folder/t.csv", content)
            archive.writestr("__MACOSX/._t.csv", b"junk")
    elif path.suffix == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as out:
            out.write(content)
    else:
        pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[path.suffix]
        put(path, pack(content))
    return path


PACKED = [".gz", ".bz2", ".xz", ".zst", ".zip"]


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_packed_text_is_read_as_text(tmp_path, suffix, encoding):
    text = "n,word\n" + "".join(f"{i},größe {i}\n" for i in range(1, 500))
    path = packed(text.encode(encoding), tmp_path / f"t.csv{suffix}")
    for block_bytes in (100, 1 << 22):
        assert rows(path, block_bytes) == [[str(i), f"größe {i}"] for i in range(1, 500)]


@pytest.mark.parametrize("suffix", PACKED)
def test_packed_text_that_is_damaged_is_named(tmp_path, suffix):
    content = "n,word\n" + "".join(f"{i},{hash((i, 7)):x}\n" for i in range(1, 5000))
    path = packed(content.encode(), tmp_path / f"t.csv{suffix}")
    put(path, path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"t\.csv\{suffix} cannot be read"):
        read_table(path)


def test_packed_pieces_joined_to_one_file_are_all_read(tmp_path):
    path = put(tmp_path / "t.csv.gz", gzip.compress(b"n\n1\n2\n") + gzip.compress(b"3\n"))
    assert read_table(path)["n"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("members", [[], ["a.csv", "b.csv"], ["a.xlsx"], ["a.csv.gz"]], ids=str)
def test_an_archive_of_anything_but_one_table_is_refused(tmp_path, members):
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        for name in members:
            archive.writestr(name, b"n\n1\n")
    with pytest.raises(DataError, match=r"t\.csv\.zip holds .*unpack it"):
        read_table(tmp_path / "t.csv.zip")


def test_files_joined_with_their_headers_are_refused(tmp_path):
    part = "a,b,c\n1,2,3\n"
    path = put(tmp_path / "t.csv", part + "a,x,c\n" + part)
    for block_bytes in (1, 1 << 22):
        with pytest.raises(DataError, match="line 4: the header stands here again"):
            rows(path, block_bytes)
    assert len(rows(put(tmp_path / "one.csv", "kind\na\nkind\n"))) == 2


def test_stray_quotes_are_noticed_in_a_table_of_text_too(tmp_path):
    lines = ["who,what", *(f"person {i},thing {i}" for i in range(20))]
    lines[3], lines[12] = 'person 2,"thing 2', 'person 11,thing 11"'
    with pytest.raises(DataError, match="line 4: a quote opens a cell of 'what'"):
        read_table(put(tmp_path / "t.csv", "\n".join(lines) + "\n"))


def test_a_cell_longer_than_others_can_read_is_read(tmp_path):
    text = "a,b\n" + "x" * 200_000 + ",1\n"
    assert len(read_table(put(tmp_path / "t.csv", text))["a"][0]) == 200_000
    with pytest.raises(DataError, match="line 2: a row there or below it cannot be read"):
        read_table(put(tmp_path / "bad.csv", text + "y,2,3\n"))
