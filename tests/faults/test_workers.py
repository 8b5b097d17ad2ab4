"""Workers that are ended from outside, or left behind: each night is whole all the same."""

from __future__ import annotations

import os
import select

import pytest
from batch.launcher import KILLED

from vae_anomaly.batch import Output, plan_tables, read_manifest, score_partition, score_tables
from vae_anomaly.batch.asked import pinned
from vae_anomaly.batch.engines.local import many_processes
from vae_anomaly.batch.output.holding import held
from vae_anomaly.errors import LockedError, VaeAnomalyError
from vae_anomaly.files import VARIABLE, replace_file
from vae_anomaly.tracking import resolve

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def undisturbed(tmp_path, days, table_model, hashes) -> dict[str, str]:
    """What a run without a fault writes."""
    score_tables(table_model, days, tmp_path / "undisturbed")
    return hashes(tmp_path / "undisturbed")


def test_workers_of_a_killed_run_end_with_it_and_write_nothing_more(
    days, table_model, undisturbed, tmp_path, hashes, launch
):
    """A worker kills the run when it begins; every worker holds the pipe open while it lives."""
    out, pipe, step = tmp_path / "out", tmp_path / "pipe", "partition-started:1:orphan"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    options = {"workers": 2, "id_column": None, "stderr": pipe}
    assert launch(table_model, days, out, step, **options) == KILLED
    assert select.select([reader], [], [], 20)[0], "a worker lives on"
    assert os.read(reader, 1000) == b""
    os.close(reader)
    assert hashes(out) == {}
    assert score_tables(table_model, days, out).skipped == 0
    assert hashes(out) == undisturbed


def test_a_worker_that_is_killed_once_costs_nothing_and_leaves_nothing(
    days, table_model, undisturbed, tmp_path, hashes, monkeypatch, caplog
):
    """The fourth file of a process is of its second day, here of the last; a new one has three."""
    out = tmp_path / "out"
    monkeypatch.setenv(VARIABLE, "temp-written:4")
    assert score_tables(table_model, days, out, workers=2).rows_in == 180
    assert hashes(out) == undisturbed
    assert not list(out.rglob(".*.partial"))
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.partition for record in warned] == ["2026-01-03"]
    assert "2026-01-03.parquet was ended" in warned[0].getMessage()


def test_a_day_at_which_workers_always_end_is_named_and_the_others_are_scored(
    days, table_model, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    (days / "2026-01-03.parquet").unlink()
    monkeypatch.setenv(VARIABLE, "partition-started@2026-01-02")
    for _ in range(2):  # the second run has nothing else to do, and is not ended itself
        with pytest.raises(VaeAnomalyError, match=r"2026-01-02\.parquet .* was ended twice"):
            score_tables(table_model, days, out, workers=2)
        manifest = read_manifest(out)
        assert [entry["key"] for entry in manifest["partitions"]] == ["2026-01-01"]
        assert "out of memory" in manifest["failed"]["2026-01-02"]
    monkeypatch.delenv(VARIABLE)
    assert score_tables(table_model, days, out).skipped == 1


def test_where_no_worker_lives_the_night_ends_with_the_remedy(
    days, table_model, tmp_path, monkeypatch
):
    # int refuses its arguments
    monkeypatch.setattr("vae_anomaly.batch.engines.local._prepare_worker", int)
    model = pinned(resolve(table_model), "tabular")
    with pytest.raises(VaeAnomalyError, match=r"5 workers were ended .* fewer than 2 --workers"):
        list(many_processes(plan_tables(days) * 2, model, Output(str(tmp_path)), 2))


def test_a_run_that_lost_its_folder_writes_and_removes_nothing(days, table_model, tmp_path):
    model, out = pinned(resolve(table_model), "tabular"), tmp_path / "out"
    day = plan_tables(days)[0]
    with held(out, "second"):
        (out / "part-2026-01-01.parquet").write_text("of the second run")
        with pytest.raises(LockedError, match="another has begun there"):
            score_partition(day, model, Output(str(out), run="first"))
        score_partition(day, model, Output(str(tmp_path / "own")))  # asks for no run
        assert [path.name for path in sorted(out.iterdir())] == [
            ".lock", ".run", "part-2026-01-01.parquet",
        ]  # fmt: skip


def test_a_folder_that_is_taken_in_the_middle_of_a_file_keeps_what_it_has(tmp_path):
    target = tmp_path / "file"
    target.write_text("of the second run")

    def late() -> None:
        with held(tmp_path, "first"), replace_file(target) as temporary:
            temporary.write_text("of the first run")
            (tmp_path / ".run").write_text("second")

    with pytest.raises(LockedError, match="another has begun there"):
        late()
    assert target.read_text() == "of the second run"
    assert not list(tmp_path.glob(".*.partial"))
    assert (tmp_path / ".run").read_text() == "second"
