"""Labels as people keep them, in a column or in a file of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.tables.labels import PieceLabels, find_labels, match_labels
from vae_anomaly.errors import ConfigError, DataError, SchemaError

NAN = np.nan


@settings(max_examples=20)
@given(st.permutations(range(8)), st.sets(st.integers(0, 7), min_size=1, max_size=7))
def test_a_file_of_labels_says_the_same_in_any_order_with_ids_in_any_writing(
    tmp_path_factory, order, labelled
):
    folder = tmp_path_factory.mktemp("labels")
    rows = pd.DataFrame({"number": np.arange(8) + 0.0, "state": np.arange(8) % 2})
    kept = rows.iloc[[i for i in order if i in labelled]]
    kept.astype({"number": int}).to_csv(folder / "labels.csv", index=False)
    found, kinds = find_labels(
        f"{folder / 'labels.csv'}:state", rows[["number"]], rows["number"].to_numpy(), "number"
    )
    wanted = [i % 2 if i in labelled else NAN for i in range(8)]
    np.testing.assert_array_equal(found, wanted)
    assert kinds is None


@pytest.fixture
def apart(tmp_path):
    """A file of three labels, one id of which is there twice with one label."""
    lines = "id,kind\na,good\nb,crack\nb,crack\nc,\n"
    (tmp_path / "apart.csv").write_text(lines)
    return tmp_path / "apart.csv"


def found_in(file, column="kind", ids=("b", "a", "d"), id_column=None):
    items = np.array(ids, dtype=object)
    return find_labels(f"{file}:{column}", pd.DataFrame({"x": [1, 2, 3]}), items, id_column)


def test_kinds_come_with_labels_and_unknown_items_have_neither(apart):
    labels, kinds = found_in(apart)
    np.testing.assert_array_equal(labels, [1, 0, NAN])
    assert kinds.tolist()[:2] == ["crack", "good"]
    assert pd.isna(kinds[2])


def test_a_column_of_the_table_goes_before_a_file_of_that_name(apart, monkeypatch):
    monkeypatch.chdir(apart.parent)
    frame = pd.DataFrame({"apart.csv:kind": [1, 0, 0]})
    assert find_labels("apart.csv:kind", frame, None, None)[0].tolist() == [1, 0, 0]


def test_what_is_wrong_with_a_file_of_labels_is_said(apart):
    with pytest.raises(ConfigError, match="nothing names the rows"):
        find_labels(f"{apart}:kind", pd.DataFrame({"x": [1]}), None, None)
    with pytest.raises(DataError, match=r"ids look like 'a', the items' like 'x1'"):
        found_in(apart, ids=("x1", "x2", "x3"))
    with pytest.raises(SchemaError, match="did you mean 'kind'"):
        found_in(apart, column="kin")
    apart.write_text(apart.read_text() + "b,good\n")
    with pytest.raises(DataError, match="gives the id 'b' two different labels"):
        found_in(apart)
    apart.write_text("part,kind\na,good\n")
    with pytest.raises(SchemaError, match=r"no column 'number' to join by\. It has part, kind"):
        found_in(apart, id_column="number")


@pytest.mark.parametrize("where", ["column", "file"])
def test_pieces_of_a_long_table_get_the_labels_of_the_whole(tmp_path, where):
    frame = pd.DataFrame({"id": np.arange(60), "kind": ["ok"] * 50 + ["hole"] * 9 + [None]})
    frame.to_parquet(tmp_path / "t.parquet")
    if where == "file":
        frame[::-1].to_csv(tmp_path / "labels.csv", index=False)
    asked = "kind" if where == "column" else f"{tmp_path / 'labels.csv'}:kind"
    labels = PieceLabels(asked, [tmp_path / "t.parquet"], "id")
    parts = [labels.of(frame[labels.column][at : at + 7]) for at in range(0, 60, 7)]
    labels.check_found()
    np.testing.assert_array_equal(np.concatenate(parts), [0.0] * 50 + [1.0] * 9 + [NAN])
    with pytest.raises(DataError, match="labels none of the rows"):
        PieceLabels(asked, [tmp_path / "t.parquet"], "id").check_found()


@pytest.fixture
def half(tmp_path):
    """A file with labels of two items, of one under a name with slips, and of a stranger."""
    (tmp_path / "half.csv").write_text("id,kind\na-1,good\na-2,crack\nA_03,good\nzz,good\n")
    return f"{tmp_path / 'half.csv'}:kind"


def test_labels_that_match_in_part_are_counted_on_both_sides_and_named(half, caplog):
    frame = pd.DataFrame({"id": ["a-1", "a-2", "a-3", "a-4", "a-5"]})
    found = match_labels(half, frame, frame["id"].to_numpy(), "id")
    np.testing.assert_array_equal(found.labels, [0, 1, NAN, NAN, NAN])
    assert found.unused == 2
    assert "2 of the 4 labels" in caplog.text
    assert "'A_03' (did you mean 'a-3'?), 'zz'" in caplog.text
    assert "3 of 5 items have no label" in caplog.text


def test_pieces_tell_the_same_counts(half, tmp_path, caplog):
    frame = pd.DataFrame({"id": ["a-1", "a-2", "a-3", "a-4", "a-5"]})
    frame.to_parquet(tmp_path / "t.parquet")
    labels = PieceLabels(half, [tmp_path / "t.parquet"], "id")
    for at in range(0, 5, 2):
        labels.of(frame["id"][at : at + 2])
    labels.check_found()
    assert "2 of the 4 labels" in caplog.text
    assert "3 of 5 items have no label" in caplog.text


def test_labels_that_match_in_full_are_not_talked_about(apart, caplog):
    found_in(apart, ids=("a", "b"))
    assert caplog.text == ""
