"""How a CSV is written is told from its beginning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vae_anomaly.data.tables.files import csv_names
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.errors import DataError

TEXT = "\uff29\uff24,größe,一\n1,2.5,x\n2,3.5,y\n"


def put(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        b"\xef\xbb\xbf\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        "\ufeff".encode("utf-16-be") + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.replace("\n", "\r\n").encode("utf-16"),
    ],
    ids=["plain", "mark", "two marks", "16", "16 le", "16 be", "16 be mark", "32", "16 crlf"],
)
def test_text_is_read_in_every_unicode_encoding(tmp_path, content):
    table = read_table(put(tmp_path / "t.csv", content))
    assert table.columns.tolist() == ["\uff29\uff24", "größe", "一"]
    assert table["größe"].tolist() == [2.5, 3.5]
    assert table["一"].tolist() == ["x", "y"]


HEADERS = {
    "line end in a name": ('id,"balance\n(EUR)"\n1,2.5\n', ["id", "balance\n(EUR)"]),
    "quotes in a name": ('id,"5"" pipe"\n1,2.5\n', ["id", '5" pipe']),
    "commas in a name": ('"name, first, of";betrag\na;2.5\n', ["name, first, of", "betrag"]),
    "bare commas in a name": ("name, first, of;betrag\na;2\nb;3\n", ["name, first, of", "betrag"]),
    "full-width letters": ("\uff29\uff24,betrag\n1,2.5\n", ["\uff29\uff24", "betrag"]),
    "sep line": ("sep=;\nid;betrag\n1;2.5\n", ["id", "betrag"]),
    "sep line in Excel": ("\ufeffsep=^\r\nid^betrag\r\n1^2.5\r\n", ["id", "betrag"]),
    "sep line of tabs": ("SEP=\t\nid\tbetrag\n1\t2.5\n", ["id", "betrag"]),
    "empty lines above": ("\n  \r\nid;betrag\n1;2.5\n", ["id", "betrag"]),
    "tabs": ("id\tbe, trag\n1\t2.5\n", ["id", "be, trag"]),
    "no line end": ("id|betrag", ["id", "betrag"]),
    "cr alone": ("id;betrag\r1;2.5\r", ["id", "betrag"]),
    "one column": ("betrag\n1\n", ["betrag"]),
    "a name that begins like sep": ("sep=x,y\n1,2\n", ["sep=x", "y"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "names"), HEADERS.values(), ids=HEADERS)
def test_names_are_those_of_the_header(tmp_path, text, names):
    path = put(tmp_path / "t.csv", text)
    assert csv_names(path) == names
    assert read_table(path).columns.tolist() == names


def test_a_header_may_be_longer_than_what_is_looked_at_first(tmp_path):
    names = [f"a rather long name of column {i}" for i in range(5000)]
    path = put(tmp_path / "t.csv", ",".join(names) + "\n" + ",".join("1" * 5000) + "\n")
    assert csv_names(path) == names
    assert read_table(path).shape == (1, 5000)


REFUSED = {
    "latin-1": ("id,größe\n1,2\n".encode("latin-1"), r"line 1: the text is not UTF-8.*iconv"),
    "latin-1 below": ("id,x\n1,2\n2,größe\n".encode("latin-1"), "line 3: the text is not UTF-8"),
    "zeros": (bytes(500), "line 1: zero bytes"),
    "zeros at the end": (b"id,x\n1,2\n2,3\n" + bytes(9), "line 4: zero bytes"),
    "gzip": (b"\x1f\x8b\x08\x00abc", r"its content is gzip \(.gz\). Rename it"),
    "excel": (b"PK\x03\x04abc", "a zip archive or an Excel sheet"),
    "json": (b'{"a": 1, "b": 2}\n', r"its content is JSON"),
    "a web page": (b"<!DOCTYPE html>\n<p>404</p>\n", "its content is a web page"),
    "quoted lines": (b'"id,x"\n"1,2"\n', "its lines stand in quotes as a whole"),
    "carets": (b"id^x\n1^2\n2^3\n", r"parted by '\^', which is read where .* sep=\^"),
    "hive": (b"id\x01x\n1\x012\n", "parted by the byte 01"),
    "spaces": (b"id   x\n 1   2\n12   3\n", "parted by spaces"),
    "parquet": (b"PAR1abc", "its content is parquet"),
    "open header": (b'id,"x\n1,2\n', "line 1: a quote opens a cell there that is never closed"),
    "two of a name": (b"id,id\n1,2\n", "more than one column 'id'.*no header line"),
    "nothing": (b"\r\n \n\n", "nothing but empty lines"),
    "only sep": (b"sep=;\n", "nothing but empty lines"),
    "odd utf-16": ("id,x\n1,2\n".encode("utf-16-le")[:-1], "the text .* not utf-16-le"),
}


@pytest.mark.parametrize(("content", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_csv_is_refused_with_its_line(tmp_path, content, told):
    path = put(tmp_path / "t.csv", content)
    with pytest.raises(DataError, match=told) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_a_process_that_meets_a_bad_header_ends_in_order(tmp_path):
    path = put(tmp_path / "t.csv", 'id,"balance\n(EUR)"\n1,2.5\n2\n')
    code = f"from vae_anomaly.data.tables.read import read_table; read_table({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "line 4: 1 cell," in done.stderr


@pytest.mark.parametrize("text", ["at\n10:30\n11:30\n", "a^b\n1\n2\n", "x\na  b\nc\n",
                                  "sep=^\na^b\n1^2\n"])  # fmt: skip
def test_one_column_is_no_row_of_several(tmp_path, text):
    path = put(tmp_path / "t.csv", text)
    assert len(read_table(path)) == (1 if text.startswith("sep") else 2)
