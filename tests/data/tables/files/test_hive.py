"""Folders such as ``date=2024-03-01`` tell columns, the same however a file is named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from vae_anomaly.data.tables.files import list_partitions
from vae_anomaly.data.tables.read import assemble, iter_batches, iter_pieces, read_table
from vae_anomaly.errors import DataError


def put(folder: Path, frame: pd.DataFrame, suffix: str = "parquet") -> Path:
    """Write a file as Spark does."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-00000.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    return path


FRAME = pd.DataFrame({"x": [1.5, 2.5], "word": ["u", "b"]})


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_columns_of_the_folders_are_columns_of_the_table(tmp_path, suffix):
    for hour in (9, 10):
        put(tmp_path / "date=2024-03-01" / f"hour={hour}", FRAME, suffix)
    table = read_table(tmp_path)
    assert table.columns.tolist() == ["x", "word", "date", "hour"]
    assert table["date"].tolist() == ["2024-03-01"] * 4
    assert table["hour"].tolist() == [10, 10, 9, 9]
    assert table["word"].tolist() == ["u", "b"] * 2


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_every_way_of_reading_gives_the_same_columns(tmp_path, suffix, monkeypatch):
    path = put(tmp_path / "shop=A%20%26%20B" / "n=7", FRAME, suffix)
    whole = read_table(path)
    assert whole["shop"].tolist() == ["A & B", "A & B"]
    pd.testing.assert_frame_equal(pd.concat(list(iter_batches(path, 1))), whole)
    kept = {0: next(iter_pieces(path))}
    pd.testing.assert_frame_equal(assemble([path], kept), whole)
    some = ["n", "x"]
    pd.testing.assert_frame_equal(read_table(path, columns=some), whole[some])
    pd.testing.assert_frame_equal(pd.concat(list(iter_batches(path, 9, some))), whole[some])
    assert read_table(path, as_text=["n"])["n"].tolist() == ["7", "7"]
    monkeypatch.chdir(path.parent)
    pd.testing.assert_frame_equal(read_table(path.name), whole)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("folder", ["shop=__HIVE_DEFAULT_PARTITION__", "shop="])
def test_the_default_partition_is_missing(tmp_path, suffix, folder):
    assert read_table(put(tmp_path / folder, FRAME, suffix))["shop"].isna().all()


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_file_without_rows_has_the_columns_too(tmp_path, suffix):
    (batch,) = iter_batches(put(tmp_path / "n=7", FRAME.head(0), suffix))
    assert batch.columns.tolist() == ["x", "word", "n"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("folder", "column"),
    [("n=7", [7, 7]), ("n=7", [7.0, 7.0]), ("n=a", ["a", "a"]),
     ("n=2024-03-01", pd.to_datetime(["2024-03-01"] * 2))],
    ids=["whole", "number", "text", "time"],
)  # fmt: skip
def test_a_column_that_agrees_with_its_folder_stays(tmp_path, suffix, folder, column):
    frame = FRAME.assign(n=column)
    table = read_table(put(tmp_path / folder, frame, suffix))
    assert table.columns.tolist() == ["x", "word", "n"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_column_that_says_otherwise_than_its_folder_is_refused(tmp_path, suffix):
    path = put(tmp_path / "n=7", FRAME.assign(n=[7, 8]), suffix)
    with pytest.raises(DataError, match=r"part-00000.* in column 'n', and its folder says '7'"):
        read_table(path)


def test_folders_above_others_tell_nothing(tmp_path):
    path = put(tmp_path / "run=3" / "data", FRAME)
    assert read_table(path).columns.tolist() == ["x", "word"]
    assert list_partitions(tmp_path) == [path]


def test_two_columns_of_one_name_in_parquet_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "t.parquet"
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), path)
    with pytest.raises(DataError, match=r"t\.parquet has more than one column 'a'"):
        read_table(path)
