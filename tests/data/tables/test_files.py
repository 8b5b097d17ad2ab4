"""Which files a path, folder or pattern stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from vae_anomaly.data.tables.files import is_path_like, list_partitions
from vae_anomaly.errors import DataError


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
