"""Ids that files of one run share are counted and told; the rows of both are scored."""

from __future__ import annotations

import pandas as pd
from tracking.real_models import transactions

from vae_anomaly.batch import read_manifest, read_results, score_tables

FIRST, TWICE = transactions(60, seed=1), 7


def write_shared(days) -> None:
    """Write two days of which the second has some rows of the first again."""
    again = pd.concat([transactions(60, seed=2), FIRST.head(TWICE)], ignore_index=True)
    for path in days.iterdir():
        path.unlink()
    FIRST.to_parquet(days / "2026-01-01.parquet")
    again.to_parquet(days / "2026-01-02.parquet")
    transactions(60, seed=3).to_parquet(days / "2026-01-03.parquet")


def test_rows_that_two_files_share_are_counted_where_they_come_again(
    days, table_model, tmp_path, caplog, hashes
):
    write_shared(days)
    out, options = tmp_path / "out", {"id_column": "id"}
    summary = score_tables(table_model, days, out, **options)
    assert summary.repeated_ids == {"2026-01-02": TWICE}
    assert summary.record()["repeated_ids"] == {"2026-01-02": TWICE}
    assert "7 rows in 2026-01-02 are called as a row of an earlier file" in summary.notes[0]
    assert summary.notes[0] in caplog.text
    assert (summary.rows_out, read_results(out)["id"].duplicated().sum()) == (187, TWICE)
    assert read_manifest(out)["repeated_ids"] == {"2026-01-02": TWICE}
    before = hashes(out)
    again = score_tables(table_model, days, out, **options)
    assert (again.skipped, again.repeated_ids) == (3, {"2026-01-02": TWICE})
    assert hashes(out) == before
    other = score_tables(table_model, days / "2026-01-03.parquet", out, **options)
    assert other.repeated_ids == {}
    assert "repeated_ids" not in read_manifest(out)


def test_nights_in_which_no_id_comes_again_say_nothing(days, table_model, tmp_path):
    assert score_tables(table_model, days, tmp_path / "a", id_column="id").repeated_ids == {}
    write_shared(days)  # rows without an id column are named by file and number
    assert score_tables(table_model, days, tmp_path / "b").repeated_ids == {}
