"""Days of a range are scored by how they are; the failure of one stops no other."""

from __future__ import annotations

import json
from datetime import date
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracking.real_models import table_model, write_days  # noqa: F401 - a fixture

from vae_anomaly.batch import plan_tables, score_tables
from vae_anomaly.errors import ConfigError, StorageError
from vae_anomaly.jobs.nights.backfill import (
    WORST_LAST,
    DayCounts,
    DayJob,
    DayResult,
    backfill,
    told_range,
    worst_of,
)
from vae_anomaly.jobs.nights.dates import dated, days_from_to, has_date

DAYS = days_from_to(date(2026, 1, 1), date(2026, 1, 5))


@pytest.fixture
def jobs(table_model, tmp_path):
    """Five days, of which the first three have an input, into a folder each."""
    write_days(tmp_path / "days")

    def score(source, out) -> DayCounts:
        done = score_tables(table_model, source, out, id_column="id")
        return DayCounts(done.rows_out, done.flagged, done.quarantined)

    def job(day) -> DayJob:
        source = dated(str(tmp_path / "days" / "{date}.parquet"), day)
        out = tmp_path / "out" / f"{day}"
        return DayJob(day, [source], out, partial(plan_tables, source), partial(score, source, out))

    return [job(day) for day in DAYS]


def was(results: list[DayResult]) -> list[tuple[str, str]]:
    return [(result.before, result.action) for result in results]


def test_days_are_scored_by_how_they_are_and_a_dry_run_tells_it_before(jobs, tmp_path):
    planned = backfill(jobs, dry_run=True)
    assert was(planned) == [("new", "score")] * 3 + [("no input", "skip")] * 2
    assert not (tmp_path / "out").exists()
    backfill(jobs[:2])
    path = tmp_path / "out" / f"{DAYS[1]}" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "failed": {f"{DAYS[1]}": "it was damaged."}}))
    assert was(backfill(jobs[:3], dry_run=True)) == [
        ("done", "skip"), ("failed", "skip"), ("new", "score"),
    ]  # fmt: skip
    assert was(backfill(jobs[:3], "failed")) == [
        ("done", "skip"), ("failed", "scored"), ("new", "scored"),
    ]  # fmt: skip
    path.unlink()
    assert was(backfill(jobs[1:2], dry_run=True)) == [("unfinished", "skip")]
    assert was(backfill(jobs[:2], "completed", dry_run=True)) == [
        ("done", "score"), ("unfinished", "score"),
    ]  # fmt: skip


def test_one_day_that_goes_wrong_stops_no_other_and_decides_the_exit_code(jobs, tmp_path):
    (tmp_path / "days" / "2026-01-01.parquet").write_bytes(b"PAR1")

    def full() -> DayCounts:
        raise StorageError("The disk is full. Free some space.")

    spoilt = DayJob(DAYS[1], jobs[1].inputs, jobs[1].out, jobs[1].plan, full)
    told: list[DayResult] = []
    results = backfill([jobs[0], spoilt, jobs[2]], tell=told.append)
    assert [result.exit_code for result in results] == [3, 74, 0]
    assert results == told
    assert worst_of(results) == 74
    assert "2 days of 3 ended with an error, the first 2026-01-01" in told_range(results)


def test_what_nobody_has_foreseen_is_one_day_as_well(jobs):
    def odd() -> DayCounts:
        raise RuntimeError("odd")

    bad = DayJob(DAYS[0], jobs[0].inputs, jobs[0].out, jobs[0].plan, odd)
    results = backfill([bad, jobs[1]])
    assert [result.exit_code for result in results] == [1, 0]
    assert results[0].why == "RuntimeError: odd"


def test_files_that_come_late_are_scored_when_the_day_is_run_again(
    table_model, tmp_path
):  # fmt: skip
    days, out = write_days(tmp_path / "days"), tmp_path / "out"
    (days / "2026-01-03.parquet").rename(tmp_path / "late")

    def score() -> DayCounts:
        return DayCounts(score_tables(table_model, days, out).rows_out, 0, 0)

    job = DayJob(DAYS[0], [str(days)], out, partial(plan_tables, days), score)
    assert was(backfill([job])) == [("new", "scored")]
    (tmp_path / "late").rename(days / "2026-01-03.parquet")
    (left,) = backfill([job], "failed")
    assert (left.before, left.action, left.why) == ("late", "skip", "1 part came later")
    (again,) = backfill([job], "completed")
    assert (again.action, again.rows_out) == ("scored", 180)


def test_a_range_without_any_input_is_refused(jobs):
    results = backfill(jobs[3:])
    assert worst_of(results) == 3
    assert told_range(results).startswith("No day of the range has an input. The first: ")


@given(st.lists(st.sampled_from(WORST_LAST), min_size=1))
def test_the_exit_code_is_the_worst_in_whatever_order(codes):
    results = [DayResult(DAYS[0], "new", "scored", exit_code=code) for code in codes]
    assert worst_of(results) in codes
    assert worst_of(results) == worst_of(results[::-1])
    assert (worst_of(results) == 0) == (not any(codes))


def test_dates_stand_where_a_path_asks_for_them():
    assert has_date("days/{date:%Y/%m}/x.csv")
    assert not has_date("days/{day}/[0-9].csv")
    assert dated("{date}/{date:%j}", date(2026, 2, 1)) == "2026-02-01/032"
    with pytest.raises(ConfigError, match="the earlier first"):
        days_from_to(date(2026, 2, 1), date(2026, 1, 1))
