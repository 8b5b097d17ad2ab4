"""Kill it anywhere: what is in place is whole, and running again finishes the job."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest
from batch.entity_nights import payments, write_nights
from batch.launcher import KILLED
from tracking.real_models import transactions, write_days, write_surfaces

from vae_anomaly.batch import read_manifest, read_results, score_images, score_tables
from vae_anomaly.batch.output.ledger import Ledger
from vae_anomaly.errors import DataError, LockedError, StorageError, TooManyBadItemsError
from vae_anomaly.files import FAILPOINTS, VARIABLE, replace_file


def assert_whole(out: Path) -> None:
    """Whatever lies in its final place can be read to its end."""
    import pyarrow.parquet as pq

    for part in out.glob("part-*.parquet"):
        pq.read_table(part)


@pytest.fixture(scope="module")
def undisturbed(table_model, tmp_path_factory) -> Path:
    """The three days, scored without a fault."""
    folder = tmp_path_factory.mktemp("undisturbed")
    score_tables(table_model, write_days(folder / "days"), folder / "out", id_column="id")
    return folder / "out"


@pytest.mark.parametrize("step", [step for step in FAILPOINTS if step != "manifest-withdrawn"])
def test_killed_at_any_step_and_run_again_nothing_is_lost_or_doubled(
    step, days, table_model, undisturbed, tmp_path, hashes, launch
):
    out = tmp_path / "out"
    assert launch(table_model, days, out, step) == KILLED
    assert_whole(out)
    if step != "manifest-written":
        with pytest.raises(DataError, match="has not finished"):
            read_manifest(out)
    score_tables(table_model, days, out, id_column="id")
    assert hashes(out) == hashes(undisturbed)
    assert not list(out.rglob(".*.partial"))
    assert len(read_results(out)) == 180


STATE_STEPS = (
    "partition-started:2", "temp-written:1", "renamed:1", "temp-written:2", "renamed:2",
    "temp-written:3", "renamed:3", "partition-finished:2", "ledger-written:2", "before-manifest",
)  # fmt: skip
"""The first three files are the state after the first night, the state before it, its output."""


@pytest.fixture(scope="module")
def straight(card_model, tmp_path_factory) -> Path:
    """Three nights scored by a model with histories, undisturbed."""
    folder = tmp_path_factory.mktemp("straight")
    score_tables(card_model, write_nights(folder / "nights"), folder / "out", id_column="id")
    return folder / "out"


@pytest.mark.parametrize("step", STATE_STEPS)
def test_killed_at_any_step_histories_go_on_as_if_nothing_had_been(
    step, card_model, nights, straight, tmp_path, hashes, launch
):
    out = tmp_path / "out"
    assert launch(card_model, nights, out, step) == KILLED
    assert_whole(out)
    score_tables(card_model, nights, out, id_column="id")
    assert hashes(out) == hashes(straight)
    assert not list(out.rglob(".*.partial"))


def test_killed_while_a_changed_night_is_replaced_the_nights_after_it_follow(
    card_model, nights, tmp_path, hashes, launch
):
    out = tmp_path / "out"
    score_tables(card_model, nights, out, id_column="id")
    payments(12, per_day=50).to_parquet(nights / "night12.parquet")
    assert launch(card_model, nights, out, "ledger-written") == KILLED
    score_tables(card_model, nights, out, id_column="id")
    score_tables(card_model, nights, tmp_path / "undisturbed", id_column="id")
    assert hashes(out) == hashes(tmp_path / "undisturbed")


def test_killed_while_replacing_a_changed_day_readers_are_refused(
    days, table_model, tmp_path, launch
):
    out = tmp_path / "out"
    score_tables(table_model, days, out, id_column="id")
    transactions(50, seed=8).to_parquet(days / "2026-01-02.parquet")
    assert launch(table_model, days, out, "manifest-withdrawn") == KILLED
    with pytest.raises(DataError, match="has not finished"):
        read_manifest(out)
    assert score_tables(table_model, days, out, id_column="id").rows_in == 170


def test_killed_between_masks_and_run_again_every_mask_is_whole(
    image_model, tmp_path, hashes, launch
):
    night = write_surfaces(tmp_path / "night", 4, holes=(1, 3))
    assert launch(image_model, night, tmp_path / "out", "temp-written:4", images=True) == KILLED
    assert list((tmp_path / "out" / "masks").rglob(".*.partial"))
    assert len(list((tmp_path / "out").rglob("masks/*/0*.png"))) == 1
    score_images(image_model, night, tmp_path / "out")
    score_images(image_model, night, tmp_path / "undisturbed")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "undisturbed")
    listed = read_manifest(tmp_path / "out")["partitions"][0]["files"]
    assert {"masks/night-0000/001.png.png", "masks/night-0000/003.png.png"} < set(listed)


def test_term_ends_in_order_with_143(days, table_model, tmp_path, launch):
    assert launch(table_model, days, tmp_path / "out", "temp-written:4:term") == 143
    assert not list((tmp_path / "out").rglob(".*.partial"))
    assert score_tables(table_model, days, tmp_path / "out", id_column="id").skipped == 1


def test_full_disk_leaves_no_temporary_and_the_earlier_output(
    days, table_model, tmp_path, monkeypatch, hashes
):
    out = tmp_path / "out"
    score_tables(table_model, days, out, id_column="id")
    before = hashes(out)["part-2026-01-02.parquet"]
    transactions(50, seed=8).to_parquet(days / "2026-01-02.parquet")
    monkeypatch.setenv(VARIABLE, "temp-written:1:full")
    monkeypatch.setattr("vae_anomaly.files._reached", Counter())
    with pytest.raises(StorageError, match="No space left"):
        score_tables(table_model, days, out, id_column="id")
    assert hashes(out)["part-2026-01-02.parquet"] == before
    assert not list(out.rglob(".*.partial"))


def test_disk_that_fills_up_while_rows_are_written_ends_with_74(
    days, table_model, tmp_path, launch
):
    """A real limit of the operating system on the size of a file, met inside the parquet writer."""
    transactions(12_000, seed=2).to_parquet(days / "2026-01-02.parquet")
    out = tmp_path / "out"
    assert launch(table_model, days, out, max_bytes=80_000) == StorageError.exit_code
    assert (out / "part-2026-01-01.parquet").is_file()
    assert not (out / "part-2026-01-02.parquet").exists()
    assert not list(out.rglob(".*.partial"))
    assert score_tables(table_model, days, out, id_column="id").skipped == 1


def test_two_runs_in_one_folder_the_second_is_refused(days, table_model, tmp_path):
    from filelock import FileLock

    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".lock"), pytest.raises(LockedError, match="Another run"):
        score_tables(table_model, days, out)
    assert score_tables(table_model, days, out).partitions == 3


def test_lock_of_a_killed_run_is_free_again(days, table_model, tmp_path, launch):
    assert launch(table_model, days, tmp_path / "out", "locked") == KILLED
    assert score_tables(table_model, days, tmp_path / "out").partitions == 3


def test_input_that_changes_while_it_is_scored_is_not_written_down(days, table_model, tmp_path):
    path = days / "2026-01-02.parquet"

    def touch(stage: str, done: int, total: int) -> None:
        if stage == "rows" and done == 120:
            later = time.time() + 5
            os.utime(path, (later, later))

    with pytest.raises(TooManyBadItemsError, match="was changed while it was scored"):
        score_tables(table_model, days, tmp_path / "out", id_column="id", progress=touch)
    assert [e["key"] for e in read_manifest(tmp_path / "out")["partitions"]] == [
        "2026-01-01", "2026-01-03",
    ]  # fmt: skip


def test_manifest_is_trusted_only_while_its_files_are_intact(days, table_model, tmp_path):
    out = tmp_path / "out"
    score_tables(table_model, days, out)
    part = out / "part-2026-01-01.parquet"
    part.write_bytes(part.read_bytes() + b"x")
    with pytest.raises(DataError, match="SHA-256 differs"):
        read_manifest(out)
    part.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read_results(out)
    assert score_tables(table_model, days, out).skipped == 2
    assert len(read_results(out)) == 180


def test_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")

    def half() -> None:
        with replace_file(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        half()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_text() == "old"


def test_file_that_is_no_ledger_is_refused_with_a_remedy(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="Move it away"):
        Ledger(tmp_path / "ledger.sqlite")
