"""Which files a path, folder or pattern stands for, and what the cells of a CSV are."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.tables.files import csv_names, is_path_like, list_partitions
from vae_anomaly.data.tables.read import fingerprint, read_table
from vae_anomaly.errors import DataError

WORDS = st.text(st.sampled_from('aé,;|\t"\n 7.'), max_size=6).map(lambda text: f"x{text}x")
WHOLE = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(st.tuples(WHOLE, st.floats(allow_nan=False, allow_infinity=False), WORDS,
                          st.booleans()), min_size=2, max_size=12)  # fmt: skip


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """Tables in folders, beside what Spark, editors and people leave there."""
    for name in ("b/2.csv", "b/1.parquet", "a/3.TSV", "day[1].csv", "_temporary/0.csv",
                 "b/.1.csv", ".git/9.csv", "notes.txt", "part.png"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n1\n")
    return tmp_path


def names(files: list[Path], root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


def test_a_folder_stands_for_its_tables_sorted_and_hidden_ones_are_left_out(days):
    assert names(list_partitions(days), days) == ["a/3.TSV", "b/1.parquet", "b/2.csv", "day[1].csv"]


def test_a_list_keeps_its_order_and_a_pattern_is_sorted(days):
    files = list_partitions([days / "b" / "2.csv", str(days / "**" / "*.parquet"), str(days / "a")])
    assert names(files, days) == ["b/2.csv", "b/1.parquet", "a/3.TSV"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(days):
    assert names(list_partitions(days / "day[1].csv"), days) == ["day[1].csv"]


def test_a_hidden_file_or_a_text_file_is_read_where_it_is_named(days):
    chosen = [days / "b" / ".1.csv", days / "notes.txt"]
    assert list_partitions(chosen) == chosen


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ([], "list is empty"),
        (["b/2.csv", "b"], r"2\.csv is given twice"),
        (["part.png"], "does not end"),
    ],
    ids=["nothing", "twice", "image"],
)
def test_what_stands_for_no_table_is_told(days, source, told):
    with pytest.raises(DataError, match=told):
        list_partitions([days / name for name in source])


def test_paths_are_told_from_data():
    assert is_path_like("a.csv")
    assert is_path_like([Path("a.csv"), "b.csv"])
    assert not any(map(is_path_like, ([], [1, 2], [{"a": 1}], {"a": 1}, None)))


@settings(max_examples=25)
@given(ROWS, st.sampled_from(",;|\t"))
def test_a_table_comes_back_from_csv_and_parquet_as_it_was(tmp_path_factory, rows, delimiter):
    frame = pd.DataFrame(rows, columns=["n", "x, in euro", "word", "sent"])
    folder = tmp_path_factory.mktemp("trip")
    frame.to_csv(folder / "t.csv", index=False, sep=delimiter)
    frame.to_parquet(folder / "t.parquet")
    csv, parquet = read_table(folder / "t.csv"), read_table(folder / "t.parquet")
    pd.testing.assert_frame_equal(csv, frame, check_exact=True)
    pd.testing.assert_frame_equal(csv, parquet, check_exact=True)
    assert fingerprint(csv) == fingerprint(parquet)


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["1", "+2", " 3 "], [1, 2, 3]),
        (["1", "2.5", ".5"], [1.0, 2.5, 0.5]),
        (["TRUE", "false", "True"], [True, False, True]),
        (["1", "007", "3"], ["1", "007", "3"]),
        (["1,5", "2,5", "3"], ["1,5", "2,5", "3"]),
        (["1790000000000000001", "1790000000000000002", "3"],
         [1790000000000000001, 1790000000000000002, 3]),
        (["17900000000000000001", "17900000000000000002", "3"],
         ["17900000000000000001", "17900000000000000002", "3"]),
    ],
    ids=["whole", "numbers", "truth", "codes", "comma", "19 digits", "20 digits"],
)  # fmt: skip
def test_a_column_has_the_type_that_all_its_cells_have(tmp_path, cells, wanted):
    (tmp_path / "t.csv").write_text("x\n" + "\n".join(f'"{cell}"' for cell in cells) + "\n")
    column = read_table(tmp_path / "t.csv")["x"]
    assert column.tolist() == wanted
    assert [type(cell) for cell in column.tolist()] == [type(cell) for cell in wanted]


def test_delimiters_inside_quotes_of_the_header_do_not_count(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('"amount, EUR";"shop, city"\n1;"a;b"\n2;c\n')
    assert csv_names(path) == ["amount, EUR", "shop, city"]
    assert read_table(path)["shop, city"].tolist() == ["a;b", "c"]
