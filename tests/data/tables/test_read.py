from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from vae_anomaly.data.tables.files import list_partitions
from vae_anomaly.data.tables.read import as_frame, fingerprint, iter_batches, read_table, to_frame
from vae_anomaly.errors import DataError


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(1000),
            "amount": rng.normal(size=1000) * 1e3,
            "shop": rng.choice(["grün", "a,b", 'say "x"', "two\nlines"], 1000),
        }
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_and_parquet_give_the_same_table(
    frame: pd.DataFrame, tmp_path: Path, delimiter: str
) -> None:
    frame.to_csv(tmp_path / "t.csv", index=False, sep=delimiter)
    frame.to_parquet(tmp_path / "t.parquet")
    csv, parquet = read_table(tmp_path / "t.csv"), read_table(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(csv, parquet)
    assert fingerprint(csv) == fingerprint(parquet) == fingerprint(frame)


def test_csv_types_hold_for_the_whole_column(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i},{i:03d},true\n" for i in range(300_000))
    (tmp_path / "t.csv").write_text("whole,late,code,flag\n" + rows + "1,oops,007,false\n")
    table = read_table(tmp_path / "t.csv")
    assert table["whole"].dtype == np.int64
    assert table["late"].iloc[-1] == "oops"
    assert table["code"].iloc[-1] == "007"
    assert table["flag"].dtype == bool


def test_csv_cells_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,c\n1,,x\n,2.5,\n")
    table = read_table(tmp_path / "t.csv")
    assert np.isnan(table["a"].iloc[1])
    assert np.isnan(table["b"].iloc[0])
    assert table["c"].tolist() == ["x", ""]


def test_csv_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n")
    assert read_table(tmp_path / "t.csv").columns.tolist() == ["a", "b"]


UNREADABLE = {
    "empty.csv": (b"", "empty"),
    "empty.parquet": (b"", "empty"),
    "lines.csv": (b"\n\n", "nothing but empty lines"),
    "text.csv": (b"a,b\n1,2\n3,\xff\n", "line 3: the text is not UTF-8"),
    "header.csv": (b"a\xff,b\n1,2\n", "line 1: the text is not UTF-8"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3\n", "line 3: 3 cells, where the header has 2"),
    "twice.csv": (b"a,a\n1,2\n", "more than one column 'a'"),
    "noise.parquet": (b"PAR1" + bytes(100), "cannot be read"),
    "sheet.xlsx": (b"PK", "does not end like a table"),
}


@pytest.mark.parametrize(("name", "content", "message"), [(n, *v) for n, v in UNREADABLE.items()])
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(tmp_path / name)
    assert name in str(caught.value)
    with pytest.raises(DataError, match=message):
        list(iter_batches(tmp_path / name))


def test_a_parquet_file_cut_short_is_named(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"t\.parquet cannot be read"):
        read_table(tmp_path / "t.parquet")


def test_text_of_a_parquet_file_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    offsets, latin = pa.py_buffer(np.array([0, 4, 8], np.int32)), pa.py_buffer(b"caf\xe9 bar")
    column = pa.StringArray.from_buffers(2, offsets, latin)
    pq.write_table(pa.table({"shop": column}), tmp_path / "shops.parquet")
    with pytest.raises(DataError, match=r"shops\.parquet cannot be read: .*UTF"):
        read_table(tmp_path / "shops.parquet")
    with pytest.raises(DataError, match=r"shops\.parquet cannot be read: .*UTF"):
        list(iter_batches(tmp_path / "shops.parquet", 10))


def test_a_column_of_a_parquet_file_whose_name_is_no_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shops.parquet"
    pq.write_table(pa.table({"shopname": [1, 2]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"shopname", b"sh\xffpname"))
    with pytest.raises(DataError, match=r"shops\.parquet cannot be read"):
        read_table(path)


def test_a_folder_is_read_in_the_order_of_names(frame: pd.DataFrame, tmp_path: Path) -> None:
    for name, part in (("b/2.parquet", frame[500:]), ("a/1.parquet", frame[:500])):
        (tmp_path / name).parent.mkdir()
        part.to_parquet(tmp_path / name, index=False)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".hidden.parquet").touch()
    (tmp_path / "notes.md").touch()
    assert [path.name for path in list_partitions(tmp_path)] == ["1.parquet", "2.parquet"]
    pd.testing.assert_frame_equal(read_table(tmp_path), frame)
    pd.testing.assert_frame_equal(read_table(str(tmp_path / "*" / "*.parquet")), frame)
    pd.testing.assert_frame_equal(
        read_table([tmp_path / "a", tmp_path / "b" / "2.parquet"], columns=["id"]), frame[["id"]]
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "absent.csv", "is not a file"),
        (lambda p: str(p / "*.parquet"), "No file matches"),
        (lambda p: p, "holds no table"),
    ],
    ids=["path", "glob", "folder"],
)
def test_no_table_is_an_error_with_the_place(tmp_path: Path, make: object, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(make(tmp_path))  # type: ignore[operator]  # a parameter of the test
    assert str(tmp_path) in str(caught.value)


def test_a_file_named_twice_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="given twice"):
        read_table([tmp_path, tmp_path / "t.parquet"])


def test_files_with_other_columns_are_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "1.parquet")
    frame.rename(columns={"shop": "store"}).to_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"differ in column 'shop'"):
        read_table(tmp_path)


def test_a_column_that_is_not_there_is_named(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet has no column 'price'"):
        read_table(tmp_path / "t.parquet", columns=["price"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("batch_rows", [1, 7, 300, 10_000])
def test_batches_together_are_the_table(
    frame: pd.DataFrame, tmp_path: Path, suffix: str, batch_rows: int
) -> None:
    path = tmp_path / f"t.{suffix}"
    frame = frame.head(40) if batch_rows == 1 else frame
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    batches = list(iter_batches(path, batch_rows))
    assert max(map(len, batches)) <= batch_rows
    pd.testing.assert_frame_equal(pd.concat(batches), read_table(path))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_without_rows_gives_one_empty_batch(
    frame: pd.DataFrame, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"t.{suffix}"
    frame = frame.head(0)
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    (batch,) = iter_batches(path)
    assert batch.columns.tolist() == ["id", "amount", "shop"]
    assert len(read_table(path)) == len(batch) == 0


def test_row_groups_and_saved_indexes_do_not_show(frame: pd.DataFrame, tmp_path: Path) -> None:
    shuffled = frame.sample(frac=1, random_state=0)
    shuffled.to_parquet(tmp_path / "index.parquet")
    pq.write_table(
        pa.Table.from_pandas(shuffled, preserve_index=False),
        tmp_path / "groups.parquet",
        row_group_size=9,
    )
    first, second = read_table(tmp_path / "index.parquet"), read_table(tmp_path / "groups.parquet")
    pd.testing.assert_frame_equal(first, second)
    assert fingerprint(first) == fingerprint(shuffled)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.assign(amount=f["amount"] + 1e-9),
        lambda f: f.rename(columns={"shop": "store"}),
        lambda f: f[::-1],
        lambda f: f.head(999),
        lambda f: f.assign(shop=f["shop"].mask(f["id"] == 3)),
        lambda f: f.assign(amount=f["amount"].mask(f["id"] == 3, np.inf)),
        lambda f: f[["amount", "id", "shop"]],
    ],
    ids=["value", "name", "order", "rows", "missing", "inf", "columns"],
)
def test_fingerprint_changes_with_the_content(frame: pd.DataFrame, change: object) -> None:
    assert fingerprint(change(frame)) != fingerprint(frame)  # type: ignore[operator]  # a parameter of the test


def test_fingerprint_does_not_change_with_the_storage(frame: pd.DataFrame) -> None:
    other = frame.assign(
        id=frame["id"].astype("Int32"),
        amount=frame["amount"].astype("double[pyarrow]"),
        shop=frame["shop"].astype("category"),
    )
    assert fingerprint(other) == fingerprint(frame)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_large_ids_beside_missing_cells_keep_their_digits(tmp_path: Path, suffix: str) -> None:
    table = pa.table({"id": pa.array([2**53 + 1, None, 7], pa.int64()), "x": [1, 2, 3]})
    path = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        path.write_text(f"id,x\n{2**53 + 1},1\n,2\n7,3\n")
    else:
        pq.write_table(table, path)
    ids = read_table(path)["id"]
    assert ids.iloc[0] == 2**53 + 1
    assert pd.isna(ids.iloc[1])


def test_memory_does_not_grow_with_the_row_groups_read(tmp_path):
    path = tmp_path / "long.parquet"
    groups = pa.table({f"m{j}": np.random.default_rng(j).normal(size=4000) for j in range(8)})
    with pq.ParquetWriter(path, groups.schema) as writer:
        for _ in range(60):
            writer.write_table(groups)
    held = [pa.total_allocated_bytes() for _ in iter_batches(path, 2000)]
    assert len(held) == 120
    assert max(held[60:]) < 1.5 * max(held[:20])


def test_small_row_groups_are_read_together(tmp_path):
    frame = pd.DataFrame({"x": np.arange(1000)})
    frame.to_parquet(tmp_path / "small.parquet", row_group_size=10)
    batches = list(iter_batches(tmp_path / "small.parquet", 300))
    assert [len(batch) for batch in batches] == [300, 300, 300, 100]
    assert pd.concat(batches)["x"].tolist() == frame["x"].tolist()


def test_only_the_columns_asked_for_are_read(tmp_path):
    frame = pd.DataFrame({"x": [1, 2], "y": ["a", "b"]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        (batch,) = iter_batches(tmp_path / name, columns=["y"])
        assert batch.columns.tolist() == ["y"]


FRAME = pd.DataFrame({"id": [1, 2, 3], "amount": [1.5, np.nan, 3.0], "shop": ["grün", None, "b"]})
TABLE = pa.Table.from_pandas(FRAME)


class ArrowStream:
    """What polars and others offer: an Arrow stream and nothing else."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return TABLE.__arrow_c_stream__(requested_schema)


class ToArrow:
    """A table that says what it holds by ``to_arrow`` alone."""

    def to_arrow(self) -> pa.Table:
        return TABLE


@pytest.mark.parametrize(
    "table",
    [TABLE, TABLE.to_batches()[0], ArrowStream(), ToArrow(), TABLE.to_pydict(),
     FRAME.to_dict("records")],
    ids=["table", "batch", "stream", "to_arrow", "columns", "records"],
)  # fmt: skip
def test_tables_of_all_makers_become_the_same_frame(table: object) -> None:
    pd.testing.assert_frame_equal(as_frame(table), FRAME, check_dtype=False)


def test_a_frame_that_is_fine_is_not_copied() -> None:
    part = FRAME[1:]
    assert as_frame(part) is part


def test_columns_of_an_array_are_numbered_and_names_become_text() -> None:
    assert as_frame(np.zeros((2, 3))).columns.tolist() == ["x0", "x1", "x2"]
    assert as_frame([[1, 2]]).columns.tolist() == ["x0", "x1"]
    assert as_frame(pd.DataFrame([[1, 2]], columns=[2024, "b"])).columns.tolist() == ["2024", "b"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3), r"two dimensions.*shape \(3,\).*reshape"),
        (np.zeros((2, 2, 2)), "Got 3"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "more than one column named '1'"),
        ([[1, 2], [3]], "is no table"),
        ({"amount": 3.0, "shop": "a"}, "or a list of rows"),
        ({"a": [1], "b": [1, 2]}, "columns of one length"),
        (sparse.eye(3).tocsr(), r"X\.toarray\(\)"),
    ],
    ids=["one", "three", "names", "ragged", "one row", "lengths", "sparse"],
)
def test_what_is_no_table_is_told_how_to_become_one(value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_frame(value)


def test_only_an_index_that_was_named_is_kept() -> None:
    named = pa.Table.from_pandas(pd.DataFrame({"x": [1, 2]}, index=pd.Index([7, 9], name="id")))
    unnamed = pa.Table.from_pandas(pd.DataFrame({"x": [1, 2]}, index=[7, 9]))
    assert (list(to_frame(named)), list(to_frame(unnamed))) == (["x", "id"], ["x"])
