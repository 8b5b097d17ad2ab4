"""Score table files: every row once, in its output or in quarantine."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracking.real_models import transactions

from vae_anomaly import load_detector
from vae_anomaly.batch import (
    plan_tables,
    read_manifest,
    read_quarantine,
    read_results,
    score_tables,
)
from vae_anomaly.errors import ConfigError, DataError, SchemaError, TooManyBadItemsError
from vae_anomaly.tracking import promote, register_directory

COLUMNS = [
    "id", "score", "p_value", "is_anomaly", "reason_1", "reason_2", "reason_3",
    "model_version", "threshold",
]  # fmt: skip


def test_each_file_gives_one_output_named_after_it(days, table_model, tmp_path):
    summary = score_tables(table_model, days, tmp_path / "out", id_column="id")
    assert sorted(path.name for path in (tmp_path / "out").glob("part-*")) == [
        "part-2026-01-01.parquet", "part-2026-01-02.parquet", "part-2026-01-03.parquet",
    ]  # fmt: skip
    assert (summary.partitions, summary.rows_in, summary.rows_out) == (3, 180, 180)


def test_output_holds_what_the_detector_says(days, table_model, tmp_path):
    rows = pd.read_parquet(days / "2026-01-02.parquet")
    rows.loc[7, "amount"] = 90_000.0
    rows.to_parquet(days / "2026-01-02.parquet")
    score_tables(table_model, days, tmp_path / "out", id_column="id", batch_rows=13)
    written = pq.read_table(tmp_path / "out" / "part-2026-01-02.parquet").to_pandas()
    detector = load_detector(table_model)
    assert list(written.columns) == COLUMNS
    assert written["id"].tolist() == rows["id"].tolist()
    assert written["score"].tolist() == detector.anomaly_score(rows).tolist()
    assert written["p_value"].tolist() == detector.p_value(rows).tolist()
    assert written["is_anomaly"].tolist() == (detector.predict(rows) == -1).tolist()
    assert "amount" in written["reason_1"][7]
    assert written["reason_1"].notna().tolist() == written["is_anomaly"].tolist()
    assert (written["threshold"] == detector.threshold_.value).all()


def test_second_run_changes_no_byte_and_adds_no_file(days, table_model, tmp_path, hashes):
    score_tables(table_model, days, tmp_path / "out")
    before = hashes(tmp_path / "out")
    again = score_tables(table_model, days, tmp_path / "out")
    assert again.skipped == again.partitions == 3
    assert hashes(tmp_path / "out") == before


def test_same_input_gives_the_same_bytes_in_another_folder(days, table_model, tmp_path, hashes):
    score_tables(table_model, days, tmp_path / "one")
    score_tables(table_model, days, tmp_path / "two")
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


@pytest.mark.parametrize("change", ["input", "output", "quarantine", "options", "model"])
def test_only_what_has_changed_is_scored_again(change, days, table_model, tmp_path):
    out = tmp_path / "out"
    bad = pd.read_parquet(days / "2026-01-02.parquet")
    bad.loc[0, "amount"] = np.inf
    bad.to_parquet(days / "2026-01-02.parquet")
    score_tables(table_model, days, out)
    if change == "input":
        transactions(61, seed=2).to_parquet(days / "2026-01-02.parquet")
    if change == "output":
        (out / "part-2026-01-02.parquet").unlink()
    if change == "quarantine":
        (out / "quarantine" / "2026-01-02.jsonl").write_text("altered")
    if change == "model":
        load_detector(table_model).save(tmp_path / "copy")
        table_model = tmp_path / "copy"
        _retouch(table_model)
    options = {"batch_rows": 7} if change == "options" else {}
    again = score_tables(table_model, days, out, **options)
    assert again.skipped == (0 if change in {"options", "model"} else 2)
    assert read_manifest(out)["totals"]["rows_in"] == (181 if change == "input" else 180)


def _retouch(model):
    """Save the model with another threshold."""
    from vae_anomaly import Threshold

    load_detector(model).set_threshold(Threshold(value=0.5)).save(model)


def test_alias_is_pinned_for_a_run_and_its_move_makes_the_next_run_score_again(
    days, table_model, registered, store, tmp_path
):
    register_directory(table_model, name="cards", uri=store)

    def move_alias(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("partitions", 1):
            promote("cards", 2, uri=store)

    first = score_tables(
        "models:/cards@champion", days, tmp_path / "out", uri=store, progress=move_alias
    )
    assert set(read_results(tmp_path / "out")["model_version"]) == {"cards/1"}
    second = score_tables("models:/cards@champion", days, tmp_path / "out", uri=store)
    assert (first.model_version, second.model_version) == ("cards/1", "cards/2")
    assert second.skipped == 0
    assert set(read_results(tmp_path / "out")["model_version"]) == {"cards/2"}


def test_every_row_is_in_the_output_or_in_quarantine(days, table_model, tmp_path):
    rows = transactions(60, seed=2)
    rows.loc[3, "amount"] = np.inf
    rows.loc[5, "id"] = rows.loc[4, "id"]
    rows.loc[40, "id"] = rows.loc[4, "id"]
    rows.loc[7, "id"] = None
    rows.to_parquet(days / "2026-01-02.parquet")
    out = tmp_path / "out"
    summary = score_tables(table_model, days, out, id_column="id", batch_rows=10)
    bad = read_quarantine(out / "quarantine" / "2026-01-02.jsonl")
    assert [(item.code, item.source) for item in bad] == [
        ("infinite", "2026-01-02.parquet, row 4"),
        ("duplicate_id", "2026-01-02.parquet, row 6"),
        ("missing_id", "2026-01-02.parquet, row 8"),
        ("duplicate_id", "2026-01-02.parquet, row 41"),
    ]
    assert (summary.rows_in, summary.rows_out, summary.quarantined) == (180, 176, 4)
    assert summary.codes == {"duplicate_id": 2, "infinite": 1, "missing_id": 1}
    assert read_results(out)["id"].is_unique


def test_bad_cells_of_a_csv_go_to_quarantine_by_row(table_model, tmp_path):
    rows = transactions(50, seed=4).astype(object)
    rows.loc[11, "amount"] = "abc"
    rows.loc[12, "when"] = "yesterday"
    rows.loc[13, "amount"] = None
    rows.to_csv(tmp_path / "day.csv", index=False)
    summary = score_tables(table_model, tmp_path / "day.csv", tmp_path / "out", batch_rows=10)
    bad = read_quarantine(tmp_path / "out" / "quarantine" / "day.jsonl")
    assert [item.id for item in bad] == ["day.csv#12", "day.csv#13"]
    assert "'abc'" in bad[0].message
    assert summary.rows_out == 48


@settings(max_examples=8)
@given(
    cells=st.dictionaries(
        st.integers(0, 19), st.sampled_from([np.inf, -np.inf, np.nan, 1e308, -1e308, 1e-308])
    )
)
def test_no_score_that_is_not_finite_ever_counts_as_normal(cells, table_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    rows = transactions(20, seed=6)
    for row, cell in cells.items():
        rows.loc[row, "amount"] = cell
    rows.to_parquet(folder / "day.parquet")
    score_tables(table_model, folder / "day.parquet", folder / "out", max_bad_fraction=1.0)
    results = read_results(folder / "out")
    scored = {int(name.partition("#")[2]) - 1 for name in results["id"]}
    infinite = {row for row, cell in cells.items() if np.isinf(cell)}
    assert np.isfinite(results["score"]).all()
    assert not scored & infinite


def test_model_without_a_number_for_a_row_quarantines_it(days, table_model, tmp_path, monkeypatch):
    from vae_anomaly import TabularVAEDetector

    honest = TabularVAEDetector.examine

    def broken(self, rows):
        examination = honest(self, rows)
        examination.raw_score[rows["amount"].to_numpy() > 80.0] = np.nan
        return examination

    monkeypatch.setattr(TabularVAEDetector, "examine", broken)
    score_tables(table_model, days, tmp_path / "out", max_bad_fraction=1.0)
    expected = sum((pd.read_parquet(path)["amount"] > 80.0).sum() for path in days.iterdir())
    totals = read_manifest(tmp_path / "out")["totals"]
    assert totals["rows_quarantined"] == expected > 0
    assert totals["rows_in"] == totals["rows_out"] + totals["rows_quarantined"] == 180


def test_too_much_in_quarantine_fails_after_everything_is_written(days, table_model, tmp_path):
    rows = transactions(60, seed=2)
    rows.loc[:19, "amount"] = np.inf
    rows.to_parquet(days / "2026-01-02.parquet")
    out = tmp_path / "out"
    with pytest.raises(TooManyBadItemsError, match="20 of 180 items went to quarantine"):
        score_tables(table_model, days, out)
    assert read_manifest(out)["totals"]["rows_out"] == 160
    assert score_tables(table_model, days, out, max_bad_fraction=0.2).skipped == 3


@pytest.mark.parametrize("name", ["amount", "merchant", "online", "when"])
@pytest.mark.parametrize("change", ["renamed", "retyped"])
def test_other_columns_are_refused_and_nothing_is_written(
    name, change, days, table_model, tmp_path
):
    rows = transactions(60, seed=3)
    if change == "renamed":
        rows = rows.rename(columns={name: f"{name}x"})
    else:
        rows[name] = 17.5 if name == "merchant" else "some words"
    rows.to_parquet(days / "2026-01-03.parquet")
    with pytest.raises(SchemaError, match=rf"2026-01-03\.parquet.*'{name}'"):
        score_tables(table_model, days, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_id_column_that_is_not_there_is_refused(days, table_model, tmp_path):
    with pytest.raises(SchemaError, match="'number' to name its rows"):
        score_tables(table_model, days, tmp_path / "out", id_column="number")


def test_empty_table_gives_an_empty_output(days, table_model, tmp_path):
    transactions(60, seed=1).head(0).to_parquet(days / "2026-01-01.parquet")
    transactions(60, seed=1).head(0).to_csv(days / "2026-01-04.csv", index=False)
    summary = score_tables(table_model, days, tmp_path / "out", id_column="id")
    assert (summary.partitions, summary.rows_in) == (4, 120)
    for day in ("2026-01-01", "2026-01-04"):
        assert pq.read_metadata(tmp_path / "out" / f"part-{day}.parquet").num_rows == 0


UNREADABLE = {
    "of no bytes": (".csv", lambda whole: b""),
    "truncated parquet": (".parquet", lambda whole: whole[: len(whole) // 2]),
    "no parquet": (".parquet", lambda whole: b"PAR1 and more"),
    "broken gzip": (".csv.gz", lambda whole: b"\x1f\x8b\x08 and more"),
    "a ragged line": (".csv", lambda whole: b"id,amount\n1,2,3,4\n"),
}


@pytest.mark.parametrize(("ending", "damage"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_cannot_be_read_is_set_aside_and_the_others_are_scored(
    ending, damage, days, table_model, tmp_path
):
    whole = (days / "2026-01-02.parquet").read_bytes()
    (days / "2026-01-02.parquet").unlink()
    (days / f"2026-01-02{ending}").write_bytes(damage(whole))
    out = tmp_path / "out"
    with pytest.raises(TooManyBadItemsError, match=rf"1 of 3 partitions.*2026-01-02\{ending}"):
        score_tables(table_model, days, out)
    manifest = read_manifest(out)
    assert [entry["key"] for entry in manifest["partitions"]] == ["2026-01-01", "2026-01-03"]
    assert f"2026-01-02{ending}" in manifest["failed"]["2026-01-02"]
    with pytest.raises(DataError, match=r"lacks 1 part of the input.*2026-01-02"):
        read_results(out)
    assert len(read_results(out, allow_failed=True)) == 120
    (days / f"2026-01-02{ending}").unlink()
    (days / "2026-01-02.parquet").write_bytes(whole)
    assert score_tables(table_model, days, out).skipped == 2
    assert len(read_results(out)) == 180


@pytest.mark.parametrize("id_column", ["id", None], ids=["id column", "numbered"])
def test_a_ragged_line_costs_its_row_and_no_other(id_column, table_model, tmp_path):
    lines = transactions(60, seed=1).to_csv(index=False).splitlines()
    mended, lines[10] = lines[10], lines[10].rpartition(",")[0]
    lines.append(lines[60])  # its id comes twice
    day = tmp_path / "day.csv"
    day.write_text("\n".join(lines) + "\n1,2\n")
    out = tmp_path / "out"
    options = {"id_column": id_column, "batch_rows": 8}
    summary = score_tables(table_model, day, out, **options)
    n_twice = 1 if id_column else 0
    assert (summary.rows_in, summary.rows_out) == (62, 60 - n_twice)
    assert summary.codes == {"ragged": 2} | ({"duplicate_id": 1} if id_column else {})
    bad = read_quarantine(out / "quarantine" / "day.jsonl")
    ragged = [item for item in bad if item.code == "ragged"]
    assert [(item.id, item.source) for item in ragged] == [
        ("day.csv#10", "day.csv, row 10"), ("day.csv#62", "day.csv, row 62"),
    ]  # fmt: skip
    assert "line 11: 4 cells, where the header has 5" in ragged[0].message
    before = read_results(out).set_index("id")["score"]
    day.write_text("\n".join([*lines[:10], mended, *lines[11:]]) + "\n")
    if id_column is None:  # mended, its row is scored and no other has another name
        score_tables(table_model, day, out, **options)
        after = read_results(out).set_index("id")["score"]
        assert after.drop("day.csv#10").equals(before)


def test_a_column_that_is_empty_throughout_and_never_was_is_refused(days, table_model, tmp_path):
    transactions(60, seed=2).assign(amount=None).to_parquet(days / "2026-01-02.parquet")
    out = tmp_path / "out"
    with pytest.raises(TooManyBadItemsError, match=r"2026-01-02\.parquet: 'amount' is empty"):
        score_tables(table_model, days, out)
    assert list(read_manifest(out)["failed"]) == ["2026-01-02"]
    assert not (out / "part-2026-01-02.parquet").exists()


def test_where_no_file_can_be_read_nothing_is_written(days, table_model, tmp_path):
    for path in days.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"2026-01-01\.parquet is empty"):
        score_tables(table_model, days, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_columns_are_refused_beside_a_file_that_cannot_be_read(days, table_model, tmp_path):
    (days / "2026-01-01.parquet").write_bytes(b"")
    transactions(9, seed=1).drop(columns="amount").to_parquet(days / "2026-01-03.parquet")
    with pytest.raises(SchemaError, match="'amount'"):
        score_tables(table_model, days, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_file_damaged_in_its_middle_does_not_stop_the_others(days, table_model, tmp_path):
    broken = days / "2026-01-02.parquet"
    transactions(3000, seed=2).to_parquet(broken, row_group_size=1000)
    page = pq.read_metadata(broken).row_group(2).column(0).dictionary_page_offset
    content = bytearray(broken.read_bytes())
    content[page : page + 16] = b"\xff" * 16  # far behind the rows that are checked first
    broken.write_bytes(content)
    with pytest.raises(TooManyBadItemsError, match=r"1 of 3 partitions.*2026-01-02\.parquet"):
        score_tables(table_model, days, tmp_path / "out", id_column="id")
    manifest = read_manifest(tmp_path / "out")
    assert [entry["key"] for entry in manifest["partitions"]] == ["2026-01-01", "2026-01-03"]
    assert list(manifest["failed"]) == ["2026-01-02"]
    assert not (tmp_path / "out" / "part-2026-01-02.parquet").exists()


def test_two_files_for_one_output_are_refused(days, table_model, tmp_path):
    transactions(5, seed=9).to_csv(days / "2026-01-01.csv", index=False)
    with pytest.raises(ConfigError, match=r"both become\s+part-days__2026-01-01\.parquet"):
        score_tables(table_model, days, tmp_path / "out")


def test_results_of_another_input_are_not_replaced(days, table_model, tmp_path, hashes):
    other = tmp_path / "other"
    other.mkdir()
    transactions(9, seed=9).to_parquet(other / "2026-01-01.parquet")
    score_tables(table_model, days, tmp_path / "out")
    before = hashes(tmp_path / "out")
    with pytest.raises(ConfigError, match="Choose another --out"):
        score_tables(table_model, other, tmp_path / "out")
    assert hashes(tmp_path / "out") == before


def test_days_of_several_runs_stand_in_one_manifest(days, table_model, tmp_path):
    for day in ("2026-01-01", "2026-01-02"):
        score_tables(table_model, days / f"{day}.parquet", tmp_path / "out")
    entries = read_manifest(tmp_path / "out")["partitions"]
    assert [entry["key"] for entry in entries] == ["2026-01-01", "2026-01-02"]


def test_ledger_holds_what_a_result_was_made_of(days, table_model, tmp_path):
    score_tables(table_model, days, tmp_path / "out")
    with closing(sqlite3.connect(tmp_path / "out" / "ledger.sqlite")) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM partitions ORDER BY key")]
    model = load_detector(table_model)
    for row, entry in zip(rows, read_manifest(tmp_path / "out")["partitions"], strict=True):
        assert row["input_path"] == str(days / f"{row['key']}.parquet")
        assert row["rows_in"] == row["rows_out"] + row["rows_quarantined"] == 60
        assert row["threshold"] == model.threshold_.value
        assert row["output_sha256"] == json.loads(row["files"])[row["output"]]
        assert {name: row[name] for name in ("input_sha256", "model_digest", "config_sha256")} == {
            name: entry[name] for name in ("input_sha256", "model_digest", "config_sha256")
        }


@pytest.mark.parametrize(
    ("option", "value"), [("max_bad_fraction", 1.5), ("workers", 0), ("batch_rows", 0)]
)
def test_option_out_of_range_is_refused(option, value, days, table_model, tmp_path):
    with pytest.raises(ConfigError, match=option):
        score_tables(table_model, days, tmp_path / "out", **{option: value})
    assert not (tmp_path / "out").exists()


def test_progress_counts_rows_and_partitions(days, table_model, tmp_path):
    told = []
    score_tables(
        table_model, days, tmp_path / "out", batch_rows=30, progress=lambda *step: told.append(step)
    )
    assert [done for stage, done, _ in told if stage == "rows"] == [30, 60, 90, 120, 150, 180]
    assert told[-1] == ("partitions", 3, 3)


def test_ids_are_written_digit_for_digit_whatever_stands_beside_them(days, table_model, tmp_path):
    rows = pd.read_parquet(days / "2026-01-02.parquet").head(8)
    ids = ["10000000000000000001", "10000000000000000002", "12e4", "120000", "007", "7", "1.5", "x"]
    rows.assign(id=ids).to_csv(tmp_path / "day.csv", index=False)
    score_tables(table_model, tmp_path / "day.csv", tmp_path / "out", id_column="id", batch_rows=2)
    assert read_results(tmp_path / "out")["id"].tolist() == ids


def keys_of(*sources: object) -> list[str]:
    return [part.key for part in plan_tables(sources[0] if len(sources) == 1 else [*sources])]


def test_nights_of_equal_file_names_are_told_apart_by_their_folders(tmp_path):
    for name in (
        "hive/date=1/part-0.csv",
        "hive/date=2/part-0.csv",
        "days/1/a.csv",
        "days/2/a.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n1\n")
    hive, days = tmp_path / "hive", tmp_path / "days"
    first, second = "date=1__part-0", "date=2__part-0"
    assert keys_of(hive) == keys_of(hive / "date=1", hive / "date=2") == [first, second]
    assert keys_of(hive / "date=1") == keys_of(hive / "date=1" / "part-0.csv") == [first]
    assert keys_of(str(hive / "date=*")) == keys_of(str(hive / "*" / "*.csv")) == [first, second]
    assert keys_of(days) == keys_of(days / "1", days / "2") == ["1__a", "2__a"]
    assert keys_of(str(days / "*")) == ["1__a", "2__a"]
    assert keys_of(days / "1") == keys_of(days / "1" / "a.csv") == ["a"]
    assert keys_of(days / "1" / "a.csv", days / "2" / "a.csv") == ["1__a", "2__a"]
    assert keys_of(str(days / "*" / "a.csv")) == ["1__a", "2__a"]
    for name in ("x/1/a.csv", "y/1/a.csv"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x\n1\n")
    with pytest.raises(ConfigError, match="into a folder of its own"):
        keys_of(tmp_path / "x/1/a.csv", tmp_path / "y/1/a.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.tsv.zip"])
def test_an_output_is_called_by_its_input_without_what_says_that_it_is_a_table(tmp_path, name):
    (tmp_path / name).write_text("x\n1\n")
    assert keys_of(tmp_path / name) == keys_of(tmp_path) == ["a"]
