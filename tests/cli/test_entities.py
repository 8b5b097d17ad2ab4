"""Entities from the command line: declared in training, carried from night to night."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from batch.entity_nights import card_model, payments, write_nights  # noqa: F401 - a fixture

from vae_anomaly import load_detector
from vae_anomaly.batch import read_results

DECLARE = ("--entity", "card", "--time", "at", "--amount", "euro")


@pytest.fixture
def nights(tmp_path):
    return write_nights(tmp_path / "nights")


def test_entities_are_declared_trained_with_and_told(call, call_json, tmp_path):
    payments(0, 12).to_csv(tmp_path / "days.csv", index=False)
    options = ("--out", "model", "--no-register", "--preset", "fast", "--max-steps", 20)
    code, _, err = call(
        "train", "table", "days.csv", *DECLARE, *options, "--id-column", "id", "--entity", "shop"
    )
    assert (code, "'shop'" in err) == (3, True)
    said = call_json("train", "table", "days.csv", *DECLARE, *options, "--id-column", "id")
    assert said["reading"]["n_read"] == 720
    assert "histories of card reach until 2026-01-12 23:" in said["reading"]["notes"][0]
    assert "first 3.0 days" in said["reading"]["notes"][0]
    kinds = {column["name"]: column["kind"] for column in said["columns"]}
    assert (kinds["card"], kinds["card: amount / usual"]) == ("identifier", "numeric")


@pytest.mark.parametrize("left_out", range(3))
def test_entity_time_and_amount_belong_together(call, tmp_path, left_out):
    payments(0).to_parquet(tmp_path / "days.parquet")
    pairs = [DECLARE[0:2], DECLARE[2:4], DECLARE[4:6]]
    del pairs[left_out]
    code, _, err = call(
        "train", "table", "days.parquet", *sum(pairs, ()), "--out", "m", "--no-register"
    )
    assert (code, "belong together" in err) == (2, True)


def test_a_night_is_scored_from_the_last_and_inspected_with_the_same_score(
    call, call_json, card_model, nights
):
    for day in (12, 13, 14):
        code, _, err = call(
            "score", "table", card_model, nights / f"night{day}.parquet", "--out", "flags"
        )
        assert code == 0, err
    wanted = read_results("flags").set_index("id")["score"]
    name = wanted[[f"p14-{i}" for i in range(60)]].idxmax()
    night = nights / "night14.parquet"
    said = call_json("inspect", card_model, night, "--id", name, "--state", "flags")
    assert said["items"][0]["anomaly_score"] == pytest.approx(wanted[name])


def test_the_next_command_names_the_state(call, card_model, tmp_path):
    night = payments(12)
    night.loc[59, "euro"] = 1e5
    night.to_parquet(tmp_path / "night.parquet")
    _, out, _ = call("score", "table", card_model, "night.parquet", "--out", "flags")
    command = next(line for line in out.splitlines() if "vae-anomaly inspect" in line)
    assert command.endswith("--state flags")


def test_old_rows_are_refused_with_exit_3_by_every_command(call, card_model, tmp_path):
    payments(3).assign(strange=0).to_parquet(tmp_path / "old.parquet")
    for command in (
        ("score", "table", card_model, "old.parquet", "--out", "flags"),
        ("evaluate", card_model, "old.parquet", "--labels", "strange"),
        ("threshold", "tune", card_model, "--input", "old.parquet"),
        ("inspect", card_model, "old.parquet:3"),
    ):
        code, _, err = call(*command)
        assert (code, "already reach 2026-01-12" in err) == (3, True), command


def test_evaluation_and_tuning_see_the_past(call_json, card_model, tmp_path):
    rows = pd.concat([payments(day) for day in (12, 13)], ignore_index=True)
    rows["strange"] = 0
    rows.loc[100:104, ["euro", "strange"]] = [5e4, 1]
    rows.to_parquet(tmp_path / "rows.parquet")
    said = call_json("evaluate", card_model, "rows.parquet", "--labels", "strange")
    assert said["n_anomalies"] == 5
    tuned = call_json("threshold", "tune", card_model, "--input", "rows.parquet",
                      "--target-fpr", 0.02)  # fmt: skip
    assert tuned["threshold"]["n_normals"] == 120


def test_nights_that_were_left_out_are_told(call, card_model, nights, caplog):
    call("inspect", card_model, f"{nights / 'night14.parquet'}:1")
    assert "2.1 days before the rows" in caplog.text


def test_rows_of_a_model_with_entities_are_embedded_with_their_past(call, card_model, nights):
    night = nights / "night12.parquet"
    code, _, err = call("latent", "embed", card_model, night, "--out", "z.parquet")
    assert code == 0, err
    embedded = pd.read_parquet("z.parquet")
    assert embedded["id"].tolist() == [f"p12-{i}" for i in range(60)]
    detector = load_detector(card_model)
    rows = detector.entities_.copy().extend(pd.read_parquet(night))
    np.testing.assert_allclose(
        embedded.filter(regex="^z").to_numpy(), detector.transform(rows), rtol=1e-6
    )
