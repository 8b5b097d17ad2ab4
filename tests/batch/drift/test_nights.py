"""A night says in summary.json how it was, and what has moved since the training of its model."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from tracking.real_models import transactions, write_surfaces

from vae_anomaly import load_detector
from vae_anomaly.batch import read_manifest, read_summary, score_images, score_tables
from vae_anomaly.batch.drift.night import fresh_keys
from vae_anomaly.batch.drift.summary_file import SUMMARY
from vae_anomaly.batch.drift.tallies import read_tally
from vae_anomaly.data.images.folders import scan_images
from vae_anomaly.detectors.images.image_list import open_images
from vae_anomaly.errors import DataError, SchemaError, TooManyBadItemsError
from vae_anomaly.files import sha256_of
from vae_anomaly.jobs.baselines import keep_image_baseline, keep_table_baseline
from vae_anomaly.jobs.monitor.nights import last_nights
from vae_anomaly.jobs.monitor.watch import night_record
from vae_anomaly.monitoring.checks import Limits


@pytest.fixture(scope="module")
def watched_model(table_model, tmp_path_factory) -> Path:
    """The table model with what its training rows looked like."""
    detector = load_detector(table_model)
    keep_table_baseline(detector, transactions(400, seed=0))
    return detector.save(tmp_path_factory.mktemp("watched") / "model")


def night(path: Path, seed: int, n: int = 300, **columns: object) -> Path:
    rows = transactions(n, seed=seed).assign(**columns)
    rows["when"] += pd.Timedelta(days=30)
    rows.to_parquet(path)
    return path


@pytest.fixture(scope="module")
def finished(watched_model, tmp_path_factory) -> Path:
    """Output folder of a night whose amounts are five times as large."""
    folder = tmp_path_factory.mktemp("finished")
    rows = transactions(300, seed=3)
    night(folder / "night.parquet", 3, amount=5 * rows["amount"])
    score_tables(watched_model, folder / "night.parquet", folder / "out")
    return folder / "out"


def test_a_quiet_night_has_counts_rates_and_no_alarm(watched_model, tmp_path):
    summary = score_tables(watched_model, night(tmp_path / "n.parquet", 2), tmp_path / "out")
    told = read_summary(tmp_path / "out")
    assert summary.alarms == ()
    assert told.alarms == []
    assert (told.items_read, told.items_scored, told.kind) == (300, 300, "table")
    assert told.flag_rate.low <= told.items_flagged / 300 <= told.flag_rate.high
    assert told.normal_flags is not None
    assert told.normal_flags[0] <= told.items_flagged <= told.normal_flags[1]
    assert told.model_age_days == pytest.approx(30, abs=0.1)
    assert {check.family for check in told.checks} == {"inputs", "scores", "flags", "limits"}


def test_what_moved_is_told_with_what_it_was(finished):
    (text,) = [text for text in read_summary(finished).alarms if "amount" in text]
    assert text.startswith("column 'amount': PSI ")
    assert ", was 3" in text


def test_all_but_the_times_is_the_same_in_every_run_and_a_second_run_changes_no_byte(
    finished, watched_model, tmp_path
):
    before = sha256_of(finished / SUMMARY)
    source = finished.parent / "night.parquet"
    score_tables(watched_model, source, finished)
    assert sha256_of(finished / SUMMARY) == before
    score_tables(watched_model, source, tmp_path / "out", workers=1)
    one, other = (json.loads((out / SUMMARY).read_text()) for out in (finished, tmp_path / "out"))
    assert one.pop("times").keys() == other.pop("times").keys() == {"finished_at", "seconds"}
    assert one == other


def test_counts_of_parts_are_those_of_the_night(watched_model, tmp_path):
    """Cut into three files, the night says the same."""
    rows = transactions(300, seed=2)
    folder = tmp_path / "days"
    folder.mkdir()
    for i in range(3):
        rows.iloc[100 * i : 100 * (i + 1)].to_parquet(folder / f"{i}.parquet")
    rows.to_parquet(tmp_path / "n.parquet")
    score_tables(watched_model, folder, tmp_path / "three")
    score_tables(watched_model, tmp_path / "n.parquet", tmp_path / "one")
    three, one = (read_summary(tmp_path / name) for name in ("three", "one"))
    assert three.checks == one.checks
    assert three.parts == 3


def test_a_model_that_kept_nothing_says_so_with_the_remedy(table_model, tmp_path):
    score_tables(table_model, night(tmp_path / "n.parquet", 2), tmp_path / "out")
    told = read_summary(tmp_path / "out")
    assert told.notes == [
        "whether inputs have moved cannot be told: the model keeps nothing of its training inputs. "
        "Train it again with `vae-anomaly train`; one that is fitted in Python keeps them by "
        "`vae_anomaly.jobs.keep_table_baseline(detector, rows)` before it is saved"
    ]
    assert {check.family for check in told.checks} == {"scores", "flags", "limits"}


def test_a_night_of_which_nothing_could_be_scored_is_summed_up_all_the_same(
    watched_model, tmp_path
):
    night(tmp_path / "n.parquet", 2, n=30, amount=float("inf"))
    with pytest.raises(TooManyBadItemsError):
        score_tables(watched_model, tmp_path / "n.parquet", tmp_path / "out")
    told = read_summary(tmp_path / "out")
    assert (told.items_scored, told.flag_rate.estimate, told.quarantine_rate.estimate) == (
        0,
        None,
        1,
    )
    assert told.quarantine_codes == {"infinite": 30}
    (text,) = told.alarms
    assert text == "100.00% of the items are in quarantine, and 5.00% are allowed"
    (seen,) = last_nights([tmp_path])
    assert night_record(seen)["flag_rate"] == {"estimate": None, "low": 0.0, "high": 1.0}


def test_groups_of_rows_are_watched_one_by_one_against_their_past(watched_model, tmp_path):
    out = tmp_path / "out"
    score_tables(watched_model, night(tmp_path / "a.parquet", 3, n=400), out, group_by="merchant")
    assert read_summary(out).alarms == []
    rows = transactions(400, seed=4)
    rows.loc[rows.merchant == "fuel", "amount"] = 3000.0
    lost = rows.index[rows.merchant == "books"][:20]
    rows.loc[lost, "amount"] = float("inf")
    rows.to_parquet(tmp_path / "b.parquet")
    limits = Limits(max_flag_rate=0.5)
    score_tables(watched_model, tmp_path / "b.parquet", out, group_by="merchant", limits=limits)
    told = read_summary(out)
    assert any("of the items of 'fuel' are flagged" in text for text in told.alarms)
    assert any("of 'books' could not be scored, 0.0% on earl" in text for text in told.alarms)
    assert not any("allowed" in text for text in told.alarms)
    with pytest.raises(SchemaError, match=r"has no column 'shop' to group its rows by"):
        score_tables(watched_model, tmp_path / "b.parquet", out, group_by="shop")


def test_the_new_day_of_a_growing_folder_is_not_lost_among_the_others(watched_model, tmp_path):
    days = tmp_path / "days"
    days.mkdir()
    for day in range(6):
        night(days / f"{day}.parquet", day + 10)
    score_tables(watched_model, days, tmp_path / "out")
    assert read_summary(tmp_path / "out").alarms == []
    rows = transactions(300, seed=20)
    night(days / "6.parquet", 20, amount=4 * rows["amount"])
    score_tables(watched_model, days, tmp_path / "out")
    told = read_summary(tmp_path / "out")
    assert (told.items_read, told.items_watched) == (2100, 300)
    assert any(text.startswith("column 'amount'") for text in told.alarms)


def test_a_night_is_what_was_new_to_it_and_its_past_the_last_eight():
    growing = [[str(day) for day in range(n + 1)] for n in range(12)]
    fresh, past = list(fresh_keys(growing))[-1]
    assert fresh == ["11"]
    assert past == {str(day) for day in range(3, 11)}
    assert list(fresh_keys([["a"], ["b"], ["a"]]))[-1] == (["a"], {"b"})


def test_a_camera_that_has_become_dark_is_told_by_its_folder(image_model, tmp_path):
    for camera in ("cam1", "cam2"):
        write_surfaces(tmp_path / "parts" / camera, 30, first=int(camera[-1]) * 100)
        write_surfaces(tmp_path / "tonight" / camera, 25, first=int(camera[-1]) * 1000)
    for file in (tmp_path / "tonight" / "cam2").iterdir():
        Image.open(file).point(lambda level: level * 0.6).save(file)
    earlier = time.time() - 40 * 86_400
    for file in (tmp_path / "parts").rglob("*.png"):
        os.utime(file, (earlier, earlier))
    (tmp_path / "tonight" / "cam1" / "broken.png").write_bytes(b"no image")
    detector = load_detector(image_model)
    keep_image_baseline(detector, open_images(list(scan_images(tmp_path / "parts").items)))
    model = detector.save(tmp_path / "model")
    score_images(model, tmp_path / "tonight", tmp_path / "out", heatmaps="none", masks="none")
    summary = read_summary(tmp_path / "out")
    told = summary.alarms
    (dark,) = [text for text in told if text.startswith("images of 'cam2' are darker")]
    assert "median brightness 0.28" in dark
    assert not any("'cam1' are" in text for text in told)
    parts = read_manifest(tmp_path / "out")["partitions"]
    groups = [read_tally(tmp_path / "out", entry).groups for entry in parts]
    lost = {name: own.quarantined for one in groups for name, own in one.items()}
    assert lost == {"cam1": 1, "cam2": 0}
    assert summary.model_age_days == pytest.approx(40, abs=1)
    (seen,) = last_nights([tmp_path / "out"])
    assert seen.age_days == summary.model_age_days


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"items_read": -1}, "greater than or equal to 0"),
        ({"manifest": "0" * 64}, "of other results"),
        ({"report": "../../etc/passwd"}, "report.html"),
        ({"alarms": ["x" * 5000]}, "at most 4096"),
        ({"format_version": 2}, "Input should be 1"),
        ({"flag_rate": None}, "Input should be an object at flag_rate"),
    ],
    ids=["negative", "other results", "another page", "long", "version", "no rate"],
)
def test_a_summary_that_no_run_has_written_is_refused(finished, tmp_path, change, reason):
    out = Path(shutil.copytree(finished, tmp_path / "out"))
    values = json.loads((out / SUMMARY).read_text())
    (out / SUMMARY).write_text(json.dumps(values | change))
    with pytest.raises(DataError, match=reason):
        read_summary(out)


def test_a_summary_elsewhere_or_missing_is_refused(finished, tmp_path):
    out = Path(shutil.copytree(finished, tmp_path / "out"))
    (out / SUMMARY).rename(tmp_path / "elsewhere.json")
    with pytest.raises(DataError, match="has no summary"):
        read_summary(out)
    (out / SUMMARY).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(DataError, match="leads out"):
        read_summary(out)


def test_counts_that_others_changed_are_refused_and_scored_again(finished, watched_model, tmp_path):
    out = Path(shutil.copytree(finished, tmp_path / "out"))
    (entry,) = read_manifest(out)["partitions"]
    (tally,) = (out / "tally").iterdir()
    tally.write_text("{}")
    with pytest.raises(DataError, match="holds no counts"):
        read_tally(out, entry)
    assert score_tables(watched_model, finished.parent / "night.parquet", out).skipped == 0
    assert read_tally(out, entry) is not None
