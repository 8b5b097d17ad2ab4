"""A calibration that is made anew holds its promise on items like those it was given."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from batch.entity_nights import card_model, payments  # noqa: F401 - a fixture
from PIL import Image
from tracking.real_models import SIDE, transactions, write_surfaces

from vae_anomaly import load_detector
from vae_anomaly.errors import CalibrationError, ConfigError, DataError
from vae_anomaly.jobs import recalibrate_job
from vae_anomaly.jobs.baselines import keep_table_baseline
from vae_anomaly.thresholds import Threshold


def dearer(n: int, seed: int) -> pd.DataFrame:
    """Transactions of a shop whose prices rose."""
    rows = transactions(n, seed)
    return rows.assign(amount=(3.0 * rows["amount"]).round(2))


def lighter(folder, n: int, first: int):
    """Surfaces under a stronger lamp."""
    folder.mkdir()
    for number in range(n):
        rng = np.random.default_rng(first + number)
        pixels = rng.normal(135.0, 7.0, (SIDE, SIDE)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


def test_the_rate_of_a_shifted_source_is_the_promised_one_again(table_model, tmp_path):
    normals = tmp_path / "may.parquet"
    dearer(1500, seed=11).to_parquet(normals)
    done = recalibrate_job(str(table_model), str(normals), out=tmp_path / "new", target_fpr=0.05)
    fresh = dearer(3000, seed=12)
    old, new = load_detector(table_model), load_detector(tmp_path / "new")
    assert np.mean(old.predict(fresh) == -1) > 0.10
    assert np.mean(new.predict(fresh) == -1) == pytest.approx(0.05, abs=0.02)
    raw = [one.assess(fresh)["raw_score"] for one in (old, new)]
    assert np.array_equal(*raw), "what turns rows to raw scores has changed"
    assert done.flagged_before.low > 0.05
    record = new.recalibrated_[0]
    assert (record.n_items, record.target_fpr) == (1500, 0.05)
    assert record.of.startswith("folder:")
    assert record == done.record


def test_images_of_another_lamp_are_calibrated_and_their_regions_too(image_model, tmp_path):
    normals = lighter(tmp_path / "normals", 60, first=5000)
    recalibrate_job(str(image_model), str(normals), out=tmp_path / "new", target_fpr=0.05)
    fresh = np.stack([np.asarray(Image.open(p)) for p in sorted(
        lighter(tmp_path / "fresh", 60, first=9000).iterdir())])  # fmt: skip
    old, new = load_detector(image_model), load_detector(tmp_path / "new")
    assert np.mean(old.predict(fresh) == -1) > 0.9
    assert np.mean(new.predict(fresh) == -1) <= 0.15
    assert new.heat_level_ != old.heat_level_


def test_too_few_normals_are_refused_with_the_rate_that_they_reach(table_model, tmp_path):
    normals = tmp_path / "few.parquet"
    dearer(50, seed=13).to_parquet(normals)
    with pytest.raises(CalibrationError, match=r"at least 99 normals; got 50.*--target-fpr 0\.02"):
        recalibrate_job(str(table_model), str(normals), out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    recalibrate_job(str(table_model), str(normals), out=tmp_path / "new", target_fpr=0.02)


def test_what_the_model_was_trained_on_is_warned_of(table_model, image_model, tmp_path):
    days = tmp_path / "days.parquet"
    pd.concat([transactions(400, seed=0), dearer(100, seed=14)]).to_parquet(days)
    done = recalibrate_job(str(table_model), str(days), out=tmp_path / "new", dry_run=True)
    assert any("remembers from its training" in words for words in done.warnings)
    images = write_surfaces(tmp_path / "images", 120, first=1000)
    done = recalibrate_job(str(image_model), str(images), out=tmp_path / "new", dry_run=True)
    assert any("images looked at were in the training" in words for words in done.warnings)
    images = write_surfaces(tmp_path / "later", 120, first=7000)
    done = recalibrate_job(str(image_model), str(images), out=tmp_path / "new", dry_run=True)
    assert done.warnings == ()
    assert not (tmp_path / "new").exists()


def test_labelled_anomalies_are_no_normals(table_model, tmp_path):
    rows = transactions(300, seed=15).assign(fraud=[1] * 20 + [0] * 280)
    rows.to_parquet(tmp_path / "rows.parquet")
    done = recalibrate_job(
        str(table_model), str(tmp_path / "rows.parquet"), labels="fraud", out=tmp_path / "new",
        dry_run=True,
    )  # fmt: skip
    assert (done.record.n_items, done.left_out) == (280, {"labelled as anomalies": 20})
    rows.assign(fraud=1).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="labelled as anomalies"):
        recalibrate_job(
            str(table_model), str(tmp_path / "rows.parquet"), labels="fraud", out=tmp_path / "new"
        )


def test_a_folder_needs_a_place_and_stays_as_it_is(table_model, tmp_path):
    with pytest.raises(ConfigError, match="--out DIR"):
        recalibrate_job(str(table_model), "rows.parquet")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("a")
    with pytest.raises(ConfigError, match="not written over"):
        recalibrate_job(str(table_model), "rows.parquet", out=tmp_path / "letters")


def test_groups_of_normals_are_kept_with_the_model(table_model, tmp_path):
    rows = transactions(400, seed=16).assign(card=[f"c{i // 4}" for i in range(400)])
    rows.to_parquet(tmp_path / "rows.parquet")
    done = recalibrate_job(
        str(table_model), str(tmp_path / "rows.parquet"), groups="card", out=tmp_path / "new"
    )
    again = load_detector(tmp_path / "new")
    assert done.record.n_groups == 100
    assert len(np.unique(again.calibration_groups_)) == 100
    assert dataclasses.asdict(again.recalibrated_[0]) == dataclasses.asdict(done.record)


def test_the_rate_of_a_tuned_threshold_is_kept_and_another_policy_told(table_model, tmp_path):
    rows = dearer(300, seed=17)
    rows.to_parquet(tmp_path / "rows.parquet")
    detector = load_detector(table_model)
    scores = detector.anomaly_score(rows)
    for made, rate, told in (
        (Threshold.from_fpr(scores, 0.04), 0.04, 0),
        (Threshold.from_manual(scores, 2.0), 0.01, 1),
    ):
        detector.set_threshold(made.for_model("cards/1")).save(tmp_path / "tuned")
        done = recalibrate_job(
            str(tmp_path / "tuned"), str(tmp_path / "rows.parquet"), out=tmp_path / "new",
            dry_run=True,
        )  # fmt: skip
        assert done.record.target_fpr == rate
        assert sum("chosen by the policy manual" in words for words in done.warnings) == told


def test_nights_are_compared_with_the_new_normals(table_model, tmp_path):
    detector = load_detector(table_model)
    keep_table_baseline(detector, transactions(400, seed=0))
    detector.save(tmp_path / "old")
    rows = dearer(300, seed=18).assign(fraud=[1] * 30 + [0] * 270)
    rows.to_parquet(tmp_path / "rows.parquet")
    recalibrate_job(
        str(tmp_path / "old"), str(tmp_path / "rows.parquet"), labels="fraud", out=tmp_path / "new"
    )
    new = load_detector(tmp_path / "new").baseline_
    keep_table_baseline(detector, rows.iloc[30:])
    assert new == detector.baseline_


def test_rows_with_a_past_are_scored_looked_at_and_described_with_it(card_model, tmp_path):
    payments(12, 3).to_parquet(tmp_path / "nights.parquet")
    recalibrate_job(
        str(card_model), str(tmp_path / "nights.parquet"), target_fpr=0.05, out=tmp_path / "new"
    )
    new = load_detector(tmp_path / "new")
    assert new.entities_ is not None
    assert new.recalibrated_[0].n_items == 180
    assert any("usual" in one.name for one in new.baseline_.variables)
