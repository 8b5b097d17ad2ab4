"""Inputs, models and results in an object store: as on a disk, and committed by the manifest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from click.testing import CliRunner
from tracking.real_models import transactions, write_surfaces

from vae_anomaly.batch import read_manifest, read_results, score_images, score_tables
from vae_anomaly.batch.asked import images_asked_for, tables_asked_for, tables_in
from vae_anomaly.batch.output.remote import output_place, place_to_look_at
from vae_anomaly.batch.plan import Options, input_digest
from vae_anomaly.batch.preview import preview_run
from vae_anomaly.batch.runs.found import find_runs
from vae_anomaly.batch.runs.resume import command_of, resume
from vae_anomaly.batch.runs.verify import verify_run
from vae_anomaly.cli.evaluate import evaluate
from vae_anomaly.data.tables.labels import find_labels
from vae_anomaly.detectors import load_detector
from vae_anomaly.errors import (
    ConfigError,
    DataError,
    LockedError,
    ModelRefusedError,
    ObjectStoreError,
    StorageError,
)
from vae_anomaly.evaluation import read_scores
from vae_anomaly.files import write_json
from vae_anomaly.jobs import recalibrate_job
from vae_anomaly.jobs.monitor.nights import last_nights
from vae_anomaly.jobs.report.night.write import write_night
from vae_anomaly.persistence import ALL_FILES
from vae_anomaly.storage.folders import refuse_no_folder
from vae_anomaly.storage.leases import LAPSES_S
from vae_anomaly.storage.models import put_model, refuse_other_folder
from vae_anomaly.tracking.apply import apply_threshold

OUT = "memory://bucket/flags"
TIMED = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "summary.json")
Come = Callable[[str], None]


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    """An object store in this process, empty before and after."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


@pytest.fixture
def remote_days(bucket, days) -> str:
    """The three days, in the store."""
    bucket.put(str(days), "bucket/days", recursive=True)
    return "memory://bucket/days"


@pytest.fixture
def arrive_at(monkeypatch, tmp_path) -> Come:
    """Be at a machine of another name, whose cache folder nobody else sees."""

    def come(name: str) -> None:
        monkeypatch.setenv("VAE_ANOMALY_CACHE", str(tmp_path / name))
        monkeypatch.setattr("platform.node", lambda: name)

    return come


def put(fs: fsspec.AbstractFileSystem, frame: pd.DataFrame, name: str) -> None:
    with fs.open(name, "wb") as file:
        frame.to_parquet(file)


def objects(fs: fsspec.AbstractFileSystem) -> dict[str, bytes]:
    """What the store holds for readers, by name; ledger and summary hold times."""
    found = {name.removeprefix("/bucket/flags/"): fs.cat(name) for name in fs.find("bucket/flags")}
    return {name: content for name, content in found.items() if name not in TIMED}


def files(out: Path) -> dict[str, bytes]:
    """What a run has written for readers on this disk."""
    kept = [p for p in out.rglob("*") if p.is_file() and p.name[0] != "." and p.name not in TIMED]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in kept}


def test_tables_from_a_store_into_a_store_give_the_bytes_of_local_ones(
    bucket, remote_days, days, table_model, tmp_path
):
    score_tables(table_model, days, tmp_path / "out", id_column="id")
    summary = score_tables(table_model, remote_days, OUT, id_column="id")
    assert objects(bucket) == files(tmp_path / "out")
    assert summary.record()["out"] == OUT
    assert len(read_results(OUT)) == 180
    assert not (tmp_path / "memory:").exists()
    again = score_tables(table_model, "memory://bucket/d*ys/*.parquet", OUT, id_column="id")
    assert again.skipped == 3


def test_images_from_a_store_have_the_names_and_the_bytes_of_local_ones(
    bucket, image_model, tmp_path
):
    write_surfaces(tmp_path / "night" / "cam1", 5, holes=(2,))
    bucket.put(str(tmp_path / "night"), "bucket/night", recursive=True)
    bucket.pipe("bucket/night/cam1/bad.png", b"no image")
    (tmp_path / "night" / "cam1" / "bad.png").write_bytes(b"no image")
    score_images(image_model, tmp_path / "night", tmp_path / "out", max_bad_fraction=1)
    score_images(image_model, "memory://bucket/night", OUT, max_bad_fraction=1)
    drawn = ("part-", "heatmaps", "masks")
    ours, theirs = objects(bucket), files(tmp_path / "out")
    assert {n: c for n, c in ours.items() if n.startswith(drawn)} == {
        n: c for n, c in theirs.items() if n.startswith(drawn)
    }
    assert ours.keys() == theirs.keys()
    bad = json.loads(next(c for n, c in ours.items() if n.startswith("quarantine")))
    assert bad["source"] == "memory://bucket/night/cam1/bad.png"
    here = [n for n, c in ours.items() if str(tmp_path).encode() in c or b"storage/inputs" in c]
    assert here == []


def test_no_more_images_lie_here_than_one_partition_has(bucket, image_model, tmp_path, monkeypatch):
    write_surfaces(tmp_path / "night", 9)
    bucket.put(str(tmp_path / "night"), "bucket/night", recursive=True)
    fetched = []

    def look(stage: str, done: int, total: int) -> None:
        copies = (tmp_path / "cache" / "storage" / "inputs").rglob("*.png")
        if stage == "images":
            fetched.append(sum(path.read_bytes()[:4] == b"\x89PNG" for path in copies))

    score_images(image_model, "memory://bucket/night", OUT, images_per_partition=3, progress=look)
    assert max(fetched) <= 3
    assert min(fetched) >= 1
    with monkeypatch.context() as patch:  # what was seen is not fetched again to be known
        patch.setattr("fsspec.AbstractFileSystem.get_file", None)
        place = place_to_look_at(tmp_path / "none")
        options = Options(images_per_partition=3)
        plan = images_asked_for(image_model, "memory://bucket/night", place, options).plan
        digests = [input_digest(part) for part in plan]
    assert len({*digests}) > 2
    again = score_images(image_model, "memory://bucket/night", OUT, images_per_partition=3)
    assert again.skipped == again.partitions > 2
    bucket.cp_file("bucket/night/001.png", "bucket/night/002.png")
    changed = score_images(image_model, "memory://bucket/night", OUT, images_per_partition=3)
    assert changed.skipped == changed.partitions - 1


def test_tables_for_which_there_is_no_room_at_once_are_fetched_one_by_one(
    bucket, remote_days, days, table_model, tmp_path, monkeypatch
):
    largest, fetched = max(path.stat().st_size for path in days.iterdir()), []

    def only_one(folder: Path, n_bytes: int, address: object) -> None:
        if n_bytes > largest:
            raise StorageError(f"{address} has no room. Free some space.")

    def look(*_: object) -> None:
        copies = (tmp_path / "cache" / "storage" / "inputs").rglob("*.parquet")
        fetched.append(sum(path.read_bytes()[:4] == b"PAR1" for path in copies))

    for module in ("copies", "later"):
        monkeypatch.setattr(f"vae_anomaly.storage.{module}.require_room", only_one)
    score_tables(table_model, remote_days, OUT, id_column="id", progress=look)
    assert max(fetched) == 1
    score_tables(table_model, days, tmp_path / "here", id_column="id")
    assert objects(bucket) == files(tmp_path / "here")
    assert score_tables(table_model, remote_days, OUT, id_column="id").skipped == 3


def test_a_range_whose_days_are_done_fetches_no_table(bucket, remote_days, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("fsspec.AbstractFileSystem.get_file", None)
        assert [one.key for one in tables_in(remote_days)] == [
            "2026-01-01", "2026-01-02", "2026-01-03",
        ]  # fmt: skip


def test_a_list_of_images_in_a_store_brings_the_images_that_it_names(bucket, image_model, tmp_path):
    write_surfaces(tmp_path / "night", 3)
    bucket.put(str(tmp_path / "night"), "bucket/night", recursive=True)
    names = sorted(path.name for path in (tmp_path / "night").iterdir())[:2]
    bucket.pipe("bucket/list.csv", "\n".join(["path", *(f"night/{n}" for n in names)]).encode())
    assert score_images(image_model, "memory://bucket/list.csv", tmp_path / "out").rows_out == 2


def test_another_machine_goes_on_where_the_first_has_stopped(
    bucket, remote_days, table_model, arrive_at
):
    arrive_at("one")
    score_tables(table_model, remote_days, OUT, id_column="id")
    put(bucket, transactions(50, seed=8), "bucket/days/2026-01-04.parquet")
    arrive_at("two")
    summary = score_tables(table_model, remote_days, OUT, id_column="id")
    assert (summary.skipped, summary.partitions) == (3, 4)
    arrive_at("one")  # whose folder is behind by now
    assert score_tables(table_model, remote_days, OUT, id_column="id").skipped == 4
    assert len(read_results(OUT)) == 230


def test_a_changed_input_is_scored_again_and_what_it_leaves_behind_is_removed(
    bucket, remote_days, table_model, arrive_at
):
    rows = transactions(60, seed=5)
    rows["amount"] = rows["amount"].astype(object)
    rows.loc[3, "amount"] = float("inf")
    put(bucket, rows.astype({"amount": float}), "bucket/days/2026-01-02.parquet")
    score_tables(table_model, remote_days, OUT, id_column="id")
    assert "quarantine/2026-01-02.jsonl" in objects(bucket)
    put(bucket, transactions(50, seed=8), "bucket/days/2026-01-02.parquet")
    arrive_at("two")
    assert score_tables(table_model, remote_days, OUT, id_column="id").skipped == 2
    assert "quarantine/2026-01-02.jsonl" not in objects(bucket)
    assert len(read_results(OUT)) == 170


def test_what_was_put_by_half_and_is_not_listed_is_overwritten(bucket, remote_days, table_model):
    bucket.pipe("bucket/flags/part-2026-01-02.parquet", b"half of a pa")
    with pytest.raises(DataError, match="has not finished"):
        read_manifest(OUT)
    score_tables(table_model, remote_days, OUT, id_column="id")
    assert len(read_results(OUT)) == 180


def test_a_file_that_was_changed_in_the_store_is_refused_and_then_scored_again(
    bucket, remote_days, table_model
):
    score_tables(table_model, remote_days, OUT, id_column="id")
    bucket.pipe("bucket/flags/part-2026-01-02.parquet", b"something else")
    with pytest.raises(DataError, match="its SHA-256 differs"):
        read_results(OUT)
    assert score_tables(table_model, remote_days, OUT, id_column="id").skipped == 2
    bucket.rm("bucket/flags/part-2026-01-03.parquet")
    score_tables(table_model, remote_days, OUT, id_column="id")
    assert len(read_results(OUT)) == 180


def test_two_machines_do_not_write_to_one_folder(bucket, remote_days, table_model, arrive_at):
    arrive_at("one")
    place = output_place(OUT)
    with place.opened("run-1"):
        arrive_at("two")
        with pytest.raises(LockedError, match=r"memory://bucket/flags: run run-1 on one") as caught:
            score_tables(table_model, remote_days, OUT, id_column="id")
        assert caught.value.exit_code == 75
    assert score_tables(table_model, remote_days, OUT, id_column="id").partitions == 3
    assert "bucket/flags/.lock" not in bucket.find("bucket/flags")


@pytest.mark.parametrize(("host", "age_s"), [("two", LAPSES_S + 1), ("here", 1.0)])
def test_the_lock_of_a_dead_run_is_taken_over(
    host, age_s, bucket, remote_days, table_model, arrive_at
):
    """It lapses; one of the same folder on the same machine is dead, as the folder is free."""
    arrive_at("here")
    lock = {"run": "dead", "host": host, "pid": 1, "place": str(output_place(OUT).root),
            "renewed": time.time() - age_s}  # fmt: skip
    bucket.pipe("bucket/flags/.lock", json.dumps(lock).encode())
    assert score_tables(table_model, remote_days, OUT, id_column="id").partitions == 3


def test_a_run_whose_lock_was_taken_over_writes_nothing_more(
    bucket, remote_days, table_model, monkeypatch
):
    other = {"run": "x", "host": "two", "pid": 1, "place": "", "renewed": time.time()}

    def taken(stage: str, done: int, total: int) -> None:
        if stage == "partitions" and done == 1:
            bucket.pipe("bucket/flags/.lock", json.dumps(other).encode())

    with pytest.raises(LockedError, match="run x on two"):
        score_tables(table_model, remote_days, OUT, id_column="id", progress=taken)
    assert "manifest.json" not in objects(bucket)
    assert "part-2026-01-02.parquet" not in objects(bucket)
    assert json.loads(bucket.cat("bucket/flags/.lock")) == other


def test_a_model_in_a_store_is_verified_like_a_local_one(
    bucket, remote_days, table_model, tmp_path
):
    bucket.put(str(table_model), "bucket/model", recursive=True)
    summary = score_tables("memory://bucket/model", remote_days, tmp_path / "out", id_column="id")
    assert summary.model_version.startswith("folder:")
    assert load_detector("memory://bucket/model").kind == "tabular"
    weights = bucket.cat("bucket/model/weights.safetensors")
    bucket.pipe("bucket/model/weights.safetensors", weights[:-1] + b"!")
    with pytest.raises(ModelRefusedError):
        load_detector("memory://bucket/model")


def test_a_dry_run_looks_at_a_store_and_writes_nothing(bucket, remote_days, table_model):
    for n_done in (0, 3):
        place = place_to_look_at(OUT)
        asked = tables_asked_for(table_model, remote_days, place, Options(id_column="id"))
        before = bucket.find("bucket/flags")
        preview = preview_run(asked, OUT)
        assert (preview.place, preview.count("done")) == (OUT, n_done)
        assert bucket.find("bucket/flags") == before
        score_tables(table_model, remote_days, OUT, id_column="id")


def test_file_addresses_are_paths(days, table_model, tmp_path):
    out = (tmp_path / "out").as_uri()
    score_tables(table_model.as_uri(), days.as_uri(), out, id_column="id")
    assert len(read_results(out)) == 180
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_readers_take_results_in_a_store(bucket, remote_days, table_model, tmp_path):
    score_tables(table_model, remote_days, OUT, id_column="id")
    items, _ = read_scores(OUT)
    assert len(items) == 180
    page, facts = write_night(OUT)
    assert page == Path("report.html")
    assert facts.n_scored == 180
    assert not verify_run(OUT).findings
    assert [(one.place, one.state) for one in find_runs([OUT])] == [(OUT, "complete")]
    assert resume(command_of(OUT), OUT).skipped == 3
    assert [night.items_read for night in last_nights([OUT])] == [180]


@pytest.mark.parametrize(
    ("source", "out", "error", "message"),
    [
        ("memory://bucket/none", "out", DataError, "nothing is there"),
        ("memory://bucket/none/*.csv", "out", DataError, "nothing matches it"),
        ("https://host/days.csv", "out", DataError, "no address that is read"),
        ("memory://bucket/../days", "out", ConfigError, "no address of a file or folder"),
        ("memory://bucket/days", "memory://bucket", ConfigError, "no folder to write to"),
        ("memory://bucket/days", "memory://bucket/*", ConfigError, "no folder to write to"),
        ("memory://bucket/days", "ftp://host/out", ConfigError, "no folder to write to"),
    ],
)
def test_what_is_no_address_is_refused(
    source, out, error, message, bucket, remote_days, table_model
):
    with pytest.raises(error, match=message):
        score_tables(table_model, source, out, id_column="id")
    assert not any(Path().glob("*:*"))


def test_an_object_with_a_name_that_leads_elsewhere_is_refused(bucket, remote_days, table_model):
    bucket.store["/bucket/days/../../x.parquet"] = bucket.store["/bucket/days/2026-01-01.parquet"]
    with pytest.raises(DataError, match="fits no disk"):
        score_tables(table_model, remote_days, OUT, id_column="id")


def test_a_store_that_is_away_when_the_run_is_over_loses_nothing(
    bucket, remote_days, table_model, monkeypatch
):
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:

        def cut(stage: str, done: int, total: int) -> None:
            if stage == "partitions" and done == 2:
                patch.setattr("fsspec.implementations.memory.MemoryFileSystem.put_file", away)

        with pytest.raises(ObjectStoreError, match="does not answer as it should"):
            score_tables(table_model, remote_days, OUT, id_column="id", progress=cut)
    assert score_tables(table_model, remote_days, OUT, id_column="id").skipped >= 1
    assert len(read_results(OUT)) == 180


def test_a_model_is_put_whole_and_its_threshold_is_changed_in_place(bucket, table_model):
    detector = load_detector(table_model)
    refuse_other_folder("memory://bucket/new", ALL_FILES)
    assert put_model(detector.save, "memory://bucket/new/", ALL_FILES) == "memory://bucket/new"
    assert sorted(n.rpartition("/")[2] for n in bucket.find("bucket/new")) == sorted(ALL_FILES)
    moved = detector.threshold_.model_copy(update={"value": detector.threshold_.value + 0.5})
    applied = apply_threshold("memory://bucket/new", moved)
    assert applied.model == "memory://bucket/new"
    assert load_detector("memory://bucket/new").threshold_.value == moved.value


def test_a_folder_of_other_things_is_not_written_over_by_a_model(bucket, remote_days):
    with pytest.raises(ConfigError, match="something else than a model"):
        refuse_other_folder(remote_days, ALL_FILES)


def test_what_writes_to_disks_only_makes_no_folder_called_s3(tmp_path):
    with pytest.raises(ConfigError, match=r"s3://bucket/page\.html is an address"):
        write_json({}, "s3://bucket/page.html")
    assert not Path("s3:").exists()


def test_folders_of_a_store_that_are_given_in_part_lose_no_results(bucket, image_model, tmp_path):
    names = [f"part{number:02d}" for number in range(20)]
    for name in names:
        write_surfaces(tmp_path / "night" / name, 1)
    bucket.put(str(tmp_path / "night"), "bucket/night", recursive=True)
    folders = [f"memory://bucket/night/{name}" for name in names]
    score_images(image_model, folders, OUT, heatmaps="none", masks="none")
    with pytest.raises(ConfigError, match=r"memory://bucket/night/part01.* would be lost"):
        score_images(image_model, folders[:1], OUT, heatmaps="none", masks="none")


def test_a_calibration_made_anew_and_an_evaluation_are_put_into_a_store(bucket, table_model):
    rows = transactions(400, seed=8)
    put(bucket, rows, "bucket/normals.parquet")
    judged = pd.DataFrame({"id": rows["id"], "bad": [0] * 390 + [1] * 10})
    put(bucket, judged, "bucket/judged.parquet")
    put(bucket, rows.assign(bad=judged["bad"]), "bucket/labelled.parquet")
    recalibrate_job(
        str(table_model), "memory://bucket/normals.parquet", target_fpr=0.05,
        out="memory://bucket/anew",
    )  # fmt: skip
    assert load_detector("memory://bucket/anew").threshold_.value > 0
    ended = CliRunner().invoke(
        evaluate,
        [str(table_model), "memory://bucket/labelled.parquet", "--json", "--labels", "bad",
         "--out", "memory://bucket/measured"],
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    document = json.loads(bucket.cat("bucket/measured/evaluation.json"))
    assert (document["n_normals"], document["n_anomalies"]) == (390, 10)
    labels, _ = find_labels("memory://bucket/judged.parquet:bad", rows, rows["id"].to_numpy(), "id")
    assert labels.sum() == 10
    with pytest.raises(ConfigError, match="no folder to write to"):
        refuse_no_folder("memory://bucket")
