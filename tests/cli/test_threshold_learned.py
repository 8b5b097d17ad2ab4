"""A threshold on what verdicts have taught is tuned, stored beside the model, and taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tracking.test_learned import write

from vae_anomaly import load_detector
from vae_anomaly.errors import ConfigError
from vae_anomaly.evaluation import score_scale
from vae_anomaly.thresholds import Threshold
from vae_anomaly.thresholds.basis import MEASURED
from vae_anomaly.tracking import register_stage, resolve, resolve_stage
from vae_anomaly.tracking.apply import learned_threshold
from vae_anomaly.verdicts.saved import read_stage, write_stage

CARDS = "models:/cards@champion"


@pytest.fixture
def uri(registered):
    return ("--tracking-uri", registered.store)


def scored_night() -> pd.DataFrame:
    """Scores of a run that ranked by what was learned."""
    draw = np.random.default_rng(0)
    probability = draw.beta(0.1, 5.0, 400)
    above = np.argsort(np.argsort(-probability))
    return pd.DataFrame(
        {
            "id": [f"t{i}" for i in range(400)],
            "score": draw.exponential(0.43, 400),
            "p_combined": (1.0 + above) / 401,
            "probability": probability,
            "model_version": "cards/1",
        }
    )


def learned(folder: Path, store: str) -> None:
    """Put a second stage of the champion's scores in force."""
    stage = read_stage(write(folder / "first"))
    write_stage(replace(stage, model=score_scale(resolve(CARDS, store).path)), folder / "own")
    register_stage("cards", folder / "own", {"verdicts": 4}, store, who="ada")


def test_a_threshold_on_what_was_learned_goes_the_whole_way(
    call, call_json, registered, uri, tmp_path
):
    store = registered.store
    scored_night().to_parquet("night.parquet")
    tune = ("threshold", "tune", CARDS, "--scores", "night.parquet", "--by", "combined", *uri)
    code, out, _ = call(*tune, "--target-fpr", 0.02)
    assert code == 0
    for words in ("p_combined <= 0.02", "score > ", MEASURED):
        assert words in " ".join(out.split())
    apply = ("threshold", "apply", CARDS, "threshold.json", *uri)
    code, _, err = call(*apply)
    assert (code, "Nothing that verdicts have taught is in force for cards" in err) == (5, True)
    learned(tmp_path, store)
    before = read_stage(resolve_stage("cards", store).path)
    assert call_json(*apply, "--dry-run")["flagged"] == "p_combined <= 0.02"
    assert learned_threshold(resolve(CARDS, store), store) is None
    code, out, _ = call(*apply, "--who", "ada", "--reason", "too many")
    assert (code, "now flags p_combined <= 0.02 in runs with --learn" in out) == (0, True)
    done = resolve_stage("cards", store)
    assert (done.version, learned_threshold(resolve(CARDS, store), store).policy) == (2, "fpr")
    after = read_stage(done.path)
    assert replace(after, threshold=None, entities={}) == replace(before, entities={})
    assert load_detector(resolve(CARDS, store).path).threshold_.basis == "score"
    assert resolve(CARDS, store).version == 1
    assert call(*apply)[0] == 0  # once more changes nothing
    assert resolve_stage("cards", store).version == 2
    shown = call_json("threshold", "show", CARDS, *uri)
    assert "combined p-value" in shown["learned"]["words"]
    assert call_json(*tune, "--capacity", 20)["threshold"]["basis"] == "probability"
    assert call(*apply, "--who", "bea")[0] == 0
    code, out, _ = call("models", "show", "cards.learned", *uri)
    assert (code, "probability > " in " ".join(out.split())) == (0, True)
    code, out, _ = call("threshold", "apply", CARDS, "--no-combined", "--who", "eve", *uri)
    assert (code, "before: probability > " in out) == (0, True)
    told = call_json("threshold", "history", "cards", *uri)["learned"]
    assert [change["who"] for change in told] == ["eve", "bea", "ada"]
    assert [bool(change["new"]) for change in told] == [False, True, True]
    assert "too many" in told[-1]["evidence"]
    code, out, _ = call("threshold", "history", "cards", *uri)
    assert "In runs with --learn" in out
    assert "p_combined <= 0.02" in " ".join(out.split())
    code, _, err = call("threshold", "apply", CARDS, "--no-combined", *uri)
    assert (code, "by its own threshold already" in err) == (5, True)


def test_what_does_not_go_together_is_refused_with_a_remedy(call, registered, uri, table_model):
    tune = ("threshold", "tune", CARDS, "--by", "combined", *uri)
    scored_night().drop(columns="probability").to_parquet("plain.parquet")
    for words, more in (
        ("add --scores DIR", ()),
        ("leave out --by combined", ("--interactive",)),
        ("Score with --learn COLUMN", ("--scores", "plain.parquet")),
    ):
        code, _, err = call(*tune, *more)
        assert (code in (2, 3), words in " ".join(err.split())) == (True, True), err
    code, _, err = call("threshold", "apply", CARDS, *uri)
    assert (code, "Give the FILE" in err) == (2, True)
    with pytest.raises(ConfigError, match="belongs to the second stage"):
        load_detector(table_model).set_threshold(Threshold(value=2.0, basis="p_combined"))


def test_what_was_learned_of_other_scores_takes_no_threshold(
    call, call_json, registered, uri, tmp_path
):
    stage = read_stage(write(tmp_path / "of-another"))
    bound = Threshold(value=2.0, basis="p_combined").to_dict()
    write_stage(replace(stage, threshold=bound), tmp_path / "bounded")
    register_stage("cards", tmp_path / "bounded", {}, registered.store)
    assert "learned" not in call_json("threshold", "show", CARDS, *uri)
    Threshold(value=2.0, basis="p_combined").save("threshold.json")
    code, _, err = call("threshold", "apply", CARDS, "threshold.json", *uri)
    assert (code, "of another model's scores" in err) == (5, True)
