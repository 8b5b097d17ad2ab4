"""Output folders are found wherever they lie, and how far each is follows from what lies in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vae_anomaly.batch import read_results, score_tables
from vae_anomaly.batch.output.holding import held
from vae_anomaly.batch.output.ledger import Ledger
from vae_anomaly.batch.runs.found import find_runs, read_state
from vae_anomaly.batch.runs.resume import command_of, resume
from vae_anomaly.errors import (
    ConfigError,
    DataError,
    LockedError,
    StorageError,
    TooManyBadItemsError,
)


def test_folders_are_found_below_others_and_nothing_within_them(out, tmp_path):
    for name in ("a/one", "b"):
        shutil.copytree(out, tmp_path / "nights" / name)
    shutil.copytree(out, tmp_path / "nights" / "b" / "review" / "inner")
    (tmp_path / "nights" / "other").mkdir()
    (tmp_path / "nights" / "other" / "manifest.json").write_text('{"name": "web page"}')
    found = list(find_runs([tmp_path / "nights"]))
    assert [one.path.relative_to(tmp_path / "nights").as_posix() for one in found] == ["a/one", "b"]
    assert {one.state for one in found} == {"complete"}
    with pytest.raises(DataError, match="absent is no folder"):
        list(find_runs([tmp_path / "absent"]))


def test_a_finished_folder_is_complete_and_looking_changes_nothing(out):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    found = read_state(out)
    assert (found.state, found.why) == ("complete", "")
    assert (found.count("rows_in"), found.count("rows_out")) == (180, 177)
    assert found.codes == {"infinite": 3}
    assert found.command is not None
    assert found.command.options["id_column"] == "id"
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def stopped(after: int):
    def progress(stage: str, done: int, _: int) -> None:
        if (stage, done) == ("partitions", after):
            raise RuntimeError("stopped")

    return progress


def test_a_stopped_run_is_gone_on_with_from_anywhere_to_the_same_bytes(
    days, table_model, tmp_path, monkeypatch, hashes
):
    options = {"id_column": "id", "max_bad_fraction": 0.4, "batch_rows": 32}
    score_tables(table_model, days, tmp_path / "whole", **options)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match="stopped"):
        score_tables(table_model, "days", "out", progress=stopped(2), **options)
    found = read_state("out")
    assert (found.state, len(found.rows)) == ("unfinished", 2)
    out = Path("out").resolve()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    summary = resume(command_of(out), out)
    assert (summary.skipped, summary.partitions) == (2, 3)
    assert hashes(out) == hashes(tmp_path / "whole")
    assert read_state(out).state == "complete"


def test_parts_that_failed_are_told_and_scored_when_they_are_mended(days, table_model, tmp_path):
    whole = (days / "2026-01-02.parquet").read_bytes()
    (days / "2026-01-02.parquet").write_bytes(whole[:99])
    out = tmp_path / "out"
    with pytest.raises(TooManyBadItemsError):
        score_tables(table_model, days, out)
    found = read_state(out)
    assert (found.state, list(found.failed)) == ("failed", ["2026-01-02"])
    (days / "2026-01-02.parquet").write_bytes(whole)
    assert resume(command_of(out), out).skipped == 2
    assert read_state(out).state == "complete"
    assert len(read_results(out)) == 180


def test_a_run_that_writes_is_running_and_a_killed_one_is_not(out):
    with held(out, "theirs"):
        assert read_state(out).state == "running"
        with pytest.raises(LockedError, match="writing to"):
            command_of(out)
    (out / ".run").write_text("killed")
    assert read_state(out).state == "complete"


def test_an_earlier_version_told_no_command(out):
    with Ledger(out / "ledger.sqlite") as ledger:
        ledger._execute("DROP TABLE runs")
        ledger._execute("ALTER TABLE partitions DROP COLUMN folders")
        ledger._execute("DROP TABLE nights")
    found = read_state(out)
    assert (found.state, len(found.rows), found.runs) == ("complete", 3, ())
    with pytest.raises(ConfigError, match="Give the whole command again"):
        command_of(out)


def test_what_no_run_has_written_is_told_and_not_followed(out):
    with Ledger(out / "ledger.sqlite") as ledger:
        ledger._execute("UPDATE runs SET command = '[\"rm\"]'")
    with pytest.raises(StorageError, match="a command that no run was asked for"):
        command_of(out)
    with Ledger(out / "ledger.sqlite") as ledger:
        ledger._execute("UPDATE partitions SET output = '../../etc/passwd'")
    found = read_state(out)
    assert (found.state, "no run has written" in found.why) == ("damaged", True)
    with pytest.raises(StorageError, match="no run has written"):
        command_of(out)
