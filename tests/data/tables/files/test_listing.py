"""Which files a path, folder or pattern stands for; nothing is passed over in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from vae_anomaly.data.tables.files import is_path_like, list_files, list_partitions
from vae_anomaly.errors import DataError


def put(folder: Path, *names: str) -> Path:
    """Write small tables of these names."""
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("x\n1\n")
    return folder


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """Tables in folders, beside what Spark, editors and people leave there."""
    return put(
        tmp_path, "b/2.csv", "b/1.parquet", "a/3.TSV", "day[1].csv", "_temporary/0.csv", "b/.1.csv",
        ".git/9.csv", "notes.txt", "README.txt", "_SUCCESS", "b/.1.parquet.crc", "t.schema.json",
        "Thumbs.db", "~$1.xlsx", "b/2.csv.sha256", "b/2.csv.done",
    )  # fmt: skip


def names(files: list[Path], root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


def test_a_folder_stands_for_its_tables_sorted_and_companions_are_left_out(days, caplog):
    listed = ["a/3.TSV", "b/1.parquet", "b/2.csv", "day[1].csv", "notes.txt"]
    assert names(list_partitions(days), days) == listed
    assert not caplog.records


@pytest.mark.parametrize(
    "name", ["1.csv.gz", "1.CSV.GZ", "1.csv.zip", "1.tsv.bz2", "1.txt.zst", "1.csv.xz", "1.TXT"]
)
def test_packed_text_of_a_folder_is_a_table(tmp_path, name):
    put(tmp_path, "0.csv", name)
    assert names(list_partitions(tmp_path), tmp_path) == ["0.csv", name]
    assert names(list_partitions(str(tmp_path / "*")), tmp_path) == ["0.csv", name]


@pytest.mark.parametrize(
    "name",
    ["1.xlsx", "1.json", "1.jsonl", "1.orc", "1.avro", "1.feather", "1.dat", "1.zip", "1.gz",
     "1.csv.1", "day.csv.lz4", "part-00000", "1.parquet.gz"],
)  # fmt: skip
@pytest.mark.parametrize("pattern", ["", "*"], ids=["folder", "pattern"])
def test_data_that_is_not_read_is_refused_by_name(tmp_path, name, pattern):
    put(tmp_path, "0.csv", name)
    with pytest.raises(DataError, match=rf"also holds data that is not read: .*{name}.*Convert it"):
        list_partitions(str(tmp_path / pattern) if pattern else tmp_path)


@pytest.mark.parametrize("name", ["1.png", "1.csv.bak", "1.csv.part", "1.csv~", "run.log", "Make"])
def test_whatever_else_is_left_out_is_named(tmp_path, name, caplog):
    put(tmp_path, "0.csv", name)
    assert names(list_partitions(tmp_path), tmp_path) == ["0.csv"]
    assert f"left out, as no tables by their names: {tmp_path / name}" in caplog.text


def test_a_list_keeps_its_order_and_a_pattern_is_sorted(days):
    files = list_partitions([days / "b" / "2.csv", str(days / "**" / "*.parquet"), str(days / "a")])
    assert names(files, days) == ["b/2.csv", "b/1.parquet", "a/3.TSV"]


def test_a_pattern_that_matches_folders_stands_for_the_tables_in_them(tmp_path):
    put(tmp_path, "day1/part-0.csv", "day2/a/part-0.csv", "day3.parquet/part-0.parquet", "day4.csv")
    listed = list_files(str(tmp_path / "day*"))
    assert [file.name.as_posix() for file in listed] == [
        "day1/part-0.csv", "day2/a/part-0.csv", "day3.parquet/part-0.parquet", "day4.csv",
    ]  # fmt: skip
    whole = [file.path for file in listed]
    assert list_partitions(str(tmp_path / "**")) == list_partitions(tmp_path) == whole


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(days):
    assert names(list_partitions(days / "day[1].csv"), days) == ["day[1].csv"]


def test_a_hidden_file_or_a_text_file_is_read_where_it_is_named(days):
    chosen = [days / "b" / ".1.csv", days / "notes.txt"]
    assert list_partitions(chosen) == chosen


def test_links_to_folders_are_followed_and_a_circle_ends(tmp_path):
    put(tmp_path / "elsewhere", "1.csv")
    put(tmp_path / "days", "0.csv")
    (tmp_path / "days" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "days")
    assert names(list_partitions(tmp_path / "days"), tmp_path) == ["days/0.csv", "days/more/1.csv"]


def test_a_link_to_a_table_beside_it_does_not_double_its_rows(tmp_path, caplog):
    put(tmp_path, "1.csv", "2.csv")
    (tmp_path / "latest.csv").symlink_to("2.csv")
    assert names(list_partitions(tmp_path), tmp_path) == ["1.csv", "2.csv"]
    assert "latest.csv" in caplog.text


def test_a_link_to_nothing_is_refused_by_name(tmp_path):
    put(tmp_path, "1.csv")
    (tmp_path / "2.csv").symlink_to("absent.csv")
    for source in (tmp_path, tmp_path / "2.csv", str(tmp_path / "*.csv")):
        with pytest.raises(DataError, match=r"2\.csv is a link to absent\.csv, which is not there"):
            list_partitions(source)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ([], "list is empty"),
        (["b/2.csv", "b"], r"2\.csv is given twice"),
        (["b/2.csv", "a/../b/2.csv"], r"2\.csv is given twice, as .*b/2\.csv as well"),
        (["t.schema.json"], "does not end like a table"),
        (["b/.*"], "No table matches|given twice|only other files"),
    ],
    ids=["nothing", "twice", "two names", "other", "hidden"],
)
def test_what_stands_for_no_table_is_told(days, source, told):
    (days / "b" / ".1.csv").unlink()
    with pytest.raises(DataError, match=told):
        list_partitions([str(days / name) for name in source])


def test_paths_are_told_from_data():
    assert is_path_like("a.csv")
    assert is_path_like([Path("a.csv"), "b.csv"])
    assert is_path_like([])
    assert not any(map(is_path_like, ([1, 2], [{"a": 1}], {"a": 1}, None)))


def test_empty_text_is_not_the_folder_here(days, monkeypatch):
    monkeypatch.chdir(days)
    for source in ("", [""]):
        with pytest.raises(DataError, match="A path is empty"):
            list_partitions(source)


def test_an_address_is_told_from_a_path():
    with pytest.raises(DataError, match=r"http://days/1\.csv is no address that is read"):
        list_partitions("http://days/1.csv")


def test_a_file_address_is_the_path_that_it_is(days):
    assert list_partitions(days.absolute().as_uri()) == list_partitions(days.absolute())


def test_a_table_beside_itself_packed_does_not_count_twice(tmp_path):
    put(tmp_path, "1.csv", "1.csv.gz")
    with pytest.raises(DataError, match=r"1\.csv and .*1\.csv\.gz are one table"):
        list_partitions(tmp_path)
