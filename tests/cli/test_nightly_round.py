"""A night is scored, reviewed and learned from, and the next one is ranked by that."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from tracking.real_models import transactions

from vae_anomaly.batch import read_results
from vae_anomaly.jobs.report.night.facts import night_facts
from vae_anomaly.reports.pages.items import items_lead

MODEL = "models:/cards@champion"


@pytest.fixture
def at(registered, monkeypatch, call):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered.store)  # after `call`, which clears it
    return call


def score(at, day: int) -> str:
    """Score a day with learning; return the folder of its flags."""
    transactions(200, seed=day).to_parquet(f"2026-01-0{day}.parquet")
    code, _, err = at("score", "table", MODEL, f"2026-01-0{day}.parquet", "--out", f"flags{day}",
                      "--learn", "merchant")  # fmt: skip
    assert code == 0, err
    return f"flags{day}"


def test_the_round_of_a_night(at, tmp_path):
    flags = score(at, 1)
    sample = ("feedback", "sample", flags, "--capacity", 30, "--reserve", 5, "--audit", 8)
    code, out, err = at(*sample)
    assert (code, err) == (0, "")
    assert (
        "of 200 items 25 by score, for nothing is learned yet; 5 more by score alone; 8 at random"
        in out
    )
    sheet = pd.read_csv("decisions.csv")
    assert list(sheet) == [
        "item",
        "verdict",
        "audit",
        "why",
        "score",
        "p_value",
        "p_combined",
        "probability",
    ]
    assert sheet["item"].is_unique
    assert (sheet["audit"] == "yes").sum() == 8
    assert sheet["why"].str.split(":").str[0].value_counts().to_dict() == {
        "likely": 25, "at random": 8, "unusual": 5,
    }  # fmt: skip
    kept = pd.read_parquet(f"{flags}/learn.parquet", columns=["id", "draw", "drawn"]).set_index(
        "id"
    )
    others = kept[kept["drawn"] & ~kept.index.isin(sheet["item"][sheet["audit"] == "no"])]
    assert set(sheet["item"][sheet["audit"] == "yes"]) == set(others["draw"].nsmallest(8).index)

    sheet["verdict"] = ["confirmed" if place % 2 == 0 else "false alarm" for place in sheet.index]
    sheet.to_csv("decisions.csv", index=False)
    code, _, err = at(*sample)
    assert (code, "holds 38 verdicts, and is not written over" in err) == (2, True)
    code, out, err = at("feedback", "import", MODEL, "decisions.csv", "--who", "ada")
    assert (code, err) == (0, "")
    assert "vae-anomaly feedback learn models:/cards@champion" in out
    lesson = json.loads(at("feedback", "learn", MODEL, "--json")[1])
    assert (lesson["verdicts"], lesson["confirmed"], lesson["audits"]) == (38, 19, 8)
    assert (lesson["unknown"], lesson["has_head"], lesson["finding"]) == ([], True, "no night")

    flags = score(at, 2)
    out = at("feedback", "sample", flags, "--out", "second.csv")[1]
    assert re.search(r"90 by probability; 10 more by score alone; 15 at random", out)
    assert pd.read_csv("second.csv")["probability"].between(0.0, 1.0).all()

    given = read_results(flags).set_index("id")["probability"]
    night = night_facts(flags)
    assert {item.id: item.learned for item in night.items} == given[
        [item.id for item in night.items]
    ].to_dict()
    assert "the likeliest by what verdicts have taught first" in items_lead(night)


def test_verdicts_on_items_that_no_night_has_kept_are_named_when_imported(at, tmp_path):
    ids = pd.read_parquet(f"{score(at, 1)}/learn.parquet", columns=["id"])["id"]
    pd.DataFrame({"item": [ids[0], "x1"], "verdict": "yes"}).to_csv("d.csv", index=False)
    code, out, err = at("feedback", "import", MODEL, "d.csv")
    assert code == 0
    assert err == ""
    assert "Nothing is learned from 1 item that no night has kept: x1." in out
    assert "2 verdicts of d.csv are stored" in out


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--capacity", "2000"], 2, "its 1,000 likeliest items"),
        (
            ["--capacity", "5", "--reserve", "6"],
            2,
            "A reserve of 6 is part of the capacity, which is 5",
        ),
        ([], 3, "no manifest"),
    ],
    ids=["capacity", "reserve", "no night"],
)
def test_a_sheet_that_cannot_be_made_is_refused(at, tmp_path, options, code, told):
    (tmp_path / "empty").mkdir()
    found, out, err = at("feedback", "sample", "empty", *options)
    assert (found, out) == (code, "")
    assert told in err
