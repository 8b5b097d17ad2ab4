"""Verdicts teach a second stage from the command line, and it can be taken back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest
from batch.launcher import KILLED
from jobs.learning.made_nights import FIRST, judged, log, morning, night

from vae_anomaly.jobs.learning.merged import read_nights
from vae_anomaly.persistence import score_scale
from vae_anomaly.thresholds import Threshold
from vae_anomaly.tracking import register_stage, resolve_stage
from vae_anomaly.tracking.reviews.kept import kept_nights
from vae_anomaly.verdicts.saved import read_stage, write_stage

MODEL = "models:/cards@champion"


@pytest.fixture
def at(registered, monkeypatch, call):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered.store)  # after `call`, which clears it
    return call


@pytest.fixture
def scale(table_model) -> str:
    return score_scale(table_model)


def answer(at, store, folder, frame: pd.DataFrame, when) -> str:
    """Import verdicts as if it were another time; return the id of the import."""
    frame.to_csv(folder / "decisions.csv", index=False)
    code, out, err = at("feedback", "import", MODEL, "decisions.csv", "--verdict", "is_anomaly",
                        "--json")  # fmt: skip
    assert code == 0, err
    run = json.loads(out)["run_id"]
    _set_start(store, run, int(when.timestamp() * 1000))  # MLflow's own clock is today's
    return run


def _set_start(store: str, run: str, milliseconds: int) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as database, database:
        database.execute("UPDATE runs SET start_time = ? WHERE run_uuid = ?", (milliseconds, run))


def test_verdicts_are_learned_put_in_force_and_switched_off(at, store, scale, tmp_path):
    for number in (FIRST, FIRST + 1):
        kept = night(number, model=scale)
        log(kept, tmp_path, store)
        answer(at, store, tmp_path, judged(kept), morning(number))
    code, out, err = at("feedback", "learn", MODEL, "--dry-run")
    assert (code, err) == (0, "")
    assert "cards: 100 verdicts on items of 2 nights: " in out
    assert "20 of the items were drawn at random" in out
    assert "terminal: on: verdicts were foretold" in out
    assert "no reviewed night was ranked by what was learned" in out
    assert resolve_stage("cards", store) is None
    out = at("feedback", "learn", MODEL, "--who", "ada")[1]
    assert "In force now: cards.learned version 1" in out
    first = resolve_stage("cards", store)
    stage = read_stage(first.path)
    assert (stage.night, stage.verdicts, stage.model) == (FIRST + 2, 100, scale)
    assert "nothing new was learned" in at("feedback", "learn", MODEL)[1]
    assert resolve_stage("cards", store) == first

    code, out, _ = at("feedback", "learn", MODEL, "--off", "--who", "bob")
    assert "cards.learned version 1 is no longer in force" in out
    assert "without a threshold on it" in out
    assert resolve_stage("cards", store) is None
    assert (
        "Nothing that was learned for cards is in force"
        in at("feedback", "learn", "cards", "--off")[1]
    )


def test_a_bad_batch_that_is_withdrawn_leaves_no_trace(at, store, scale, tmp_path):
    kept = night(FIRST, model=scale)
    log(kept, tmp_path, store)
    answer(at, store, tmp_path, judged(kept), morning(FIRST))
    before = json.loads(at("feedback", "learn", MODEL, "--json")[1])
    bad = judged(kept).assign(
        is_anomaly=True, when=pd.Timestamp(morning(FIRST) + timedelta(hours=1))
    )
    run = answer(at, store, tmp_path, bad, morning(FIRST) + timedelta(hours=1))
    worse = json.loads(at("feedback", "learn", MODEL, "--json")[1])
    assert (worse["version"], worse["new"], worse["confirmed"]) == (2, True, 50)
    at("feedback", "withdraw", MODEL, run[:8])
    after = json.loads(at("feedback", "learn", MODEL, "--json")[1])
    assert (after["digest"], after["version"]) == (before["digest"], 1)
    assert after["withdrawn"] == 1


def test_learning_that_broke_off_is_done_again(at, store, scale, tmp_path, monkeypatch):
    kept = night(FIRST, model=scale)
    log(kept, tmp_path, store)
    answer(at, store, tmp_path, judged(kept), morning(FIRST))
    straight = json.loads(at("feedback", "learn", MODEL, "--dry-run", "--json")[1])
    monkeypatch.setenv("VAE_ANOMALY_FAILPOINT", "stage-registered:1:full")
    assert at("feedback", "learn", MODEL)[0] == 74
    monkeypatch.delenv("VAE_ANOMALY_FAILPOINT")
    again = json.loads(at("feedback", "learn", MODEL, "--json")[1])
    assert (again["version"], again["digest"]) == (1, straight["digest"])
    assert resolve_stage("cards", store).digest == straight["digest"]


def test_killed_anywhere_and_run_again_a_straight_round(at, store, scale, tmp_path, launch_command):
    kept = night(FIRST, model=scale)
    log(kept, tmp_path, store)
    judged(kept).to_csv("decisions.csv", index=False)
    learn = ("feedback", "learn", MODEL)
    brought = ("import", MODEL, "decisions.csv", "--verdict", "is_anomaly")
    for step in ("feedback-opened", "feedback-logged"):
        assert launch_command("feedback", *brought, failpoint=step) == KILLED
        assert "No verdicts" in at("feedback", "show", "cards")[1]
    answer(at, store, tmp_path, judged(kept), morning(FIRST))
    straight = json.loads(at("feedback", "learn", MODEL, "--dry-run", "--json")[1])
    assert straight["confirmed"] > 0
    for step in ("stage-logged", "stage-registered"):
        assert launch_command(*learn, failpoint=step) == KILLED
        assert resolve_stage("cards", store) is None
    assert launch_command(*learn, failpoint="stage-in-force") == KILLED
    again = json.loads(at("feedback", "learn", MODEL, "--json")[1])
    assert (again["version"], again["new"], again["digest"]) == (1, False, straight["digest"])


def test_what_is_learned_later_keeps_the_threshold(at, store, scale, tmp_path, monkeypatch):
    kept = night(FIRST, model=scale)
    log(kept, tmp_path, store)
    answer(at, store, tmp_path, judged(kept), morning(FIRST))
    at("feedback", "learn", MODEL)
    stage = read_stage(resolve_stage("cards", store).path)
    bound = Threshold(value=0.02, policy="value", basis="p_combined").to_dict()
    write_stage(replace(stage, threshold=bound), tmp_path / "bounded")
    register_stage("cards", tmp_path / "bounded", {}, store)
    assert "nothing new was learned" in at("feedback", "learn", MODEL)[1]
    one = judged(kept).head(1).assign(is_anomaly=False, when=pd.Timestamp(morning(FIRST + 1)))
    answer(at, store, tmp_path, one, morning(FIRST + 1))
    out = at("feedback", "learn", MODEL)[1]
    assert "In force now: cards.learned version 3" in out
    assert "threshold: p_combined <= 0.955, as before, flags in runs with --learn" in out
    assert read_stage(resolve_stage("cards", store).path).threshold == bound
    told = json.loads(at("threshold", "history", "cards", "--json")[1])["learned"]
    assert [change["new"] for change in told] == ["p_combined <= 0.955"]

    monkeypatch.setattr("vae_anomaly.jobs.learning.learn.score_scale", lambda _: "another")
    log(night(FIRST + 1, model="another"), tmp_path, store)
    out = at("feedback", "learn", MODEL)[1]
    assert "threshold: p_combined <= 0.955 is of another model's scores" in out
    assert read_stage(resolve_stage("cards", store).path).threshold is None


def test_what_cannot_be_learned_from_is_named_with_the_remedy(at, store, scale, tmp_path):
    code, out, err = at("feedback", "learn", MODEL)
    assert (code, out) == (3, "")
    assert "No night of cards has kept anything" in err
    assert "--learn COLUMN" in err
    kept = night(FIRST, model=scale)
    log(kept, tmp_path, store)
    frame = pd.concat([judged(kept), judged(kept).head(2).assign(item=["x1", "x2"])])
    answer(at, store, tmp_path, frame, morning(FIRST))
    out = at("feedback", "learn", MODEL)[1]
    assert "left out: 2 verdicts on items that no night has kept: x1, x2." in out
    code, _, err = at("feedback", "learn", MODEL, "--learn", "terminals")
    assert code == 3
    assert "(did you mean 'terminal'?)" in err


def test_of_a_model_that_was_trained_anew_the_terminals_carry_over(at, store, scale, tmp_path):
    kept = night(FIRST, model="an earlier model")
    log(kept, tmp_path, store)
    answer(at, store, tmp_path, judged(kept), morning(FIRST))
    out = at("feedback", "learn", MODEL)[1]
    assert "evidence: off, for the model was trained anew" in out
    stage = read_stage(resolve_stage("cards", store).path)
    assert stage.model == "an earlier model"
    assert stage.for_model(scale, stage.names, kept.items.features[:, 0]).head is None
    assert stage.entities["terminal"].confirmed.sum() > 5


def test_nights_are_fetched_checked_and_put_together(at, store, scale, tmp_path):
    kept = night(FIRST, model=scale)
    log(kept, tmp_path, store)
    log(night(FIRST + 1, model=scale), tmp_path, store)
    files = kept_nights("cards", store)
    assert [file.night for file in files] == ["2026-01-01", "2026-01-02"]
    assert [one.items.ids for one in read_nights(files[:1], set())] == [kept.items.ids]
    files[0].path.write_bytes(b"")
    for stored in (tmp_path / "store").rglob("learn.parquet"):
        if (
            stored.read_bytes()
            == (tmp_path / "flags-2026-01-02-cards-1" / "learn.parquet").read_bytes()
        ):
            stored.write_bytes(b"changed")
    files[1].path.unlink()
    assert [file.night for file in kept_nights("cards", store)] == ["2026-01-01"]
