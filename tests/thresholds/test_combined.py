"""Thresholds on what verdicts have taught: the combined p-value, else the probability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.evaluation import ScoredItems, compare, read_scores, reviewed_items, tune
from vae_anomaly.thresholds import Threshold
from vae_anomaly.thresholds.basis import MEASURED, p_bound, surprise_of

ALPHA = 0.01


def night(n: int = 2000, *, seed: int = 0) -> ScoredItems:
    """A night of which verdicts know more than the score: 1 in 50 is an anomaly."""
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % 50 == 0
    surprise = draw.exponential(0.05, n) + np.where(labels, draw.exponential(2.0, n), 0.0)
    above = np.argsort(np.argsort(-surprise)) / n
    return ScoredItems(
        ids=np.array([f"t{i}" for i in range(n)], dtype=object),
        scores=-np.log10(draw.uniform(1e-4, 1.0, n)) + 0.5 * labels,
        labels=labels,
        p_combined=(1.0 + n * above) / (1.0 + n),
        surprise=surprise,
        source="flags/",
    )


@pytest.fixture(scope="module")
def items() -> ScoredItems:
    return night()


def flagged(items: ScoredItems, threshold: Threshold) -> np.ndarray:
    return threshold.flag(items.on(threshold.basis).scores)


def test_a_target_rate_is_the_bound_on_the_combined_p_value_itself(items):
    p = np.linspace(1 / 200, 1.0, 200)
    exact = ScoredItems(
        np.arange(200).astype(str).astype(object), -np.log10(p), p_combined=p, surprise=1.0 - p
    )
    threshold = tune(exact, {"target_fpr": p[1]}, combined=True).threshold
    assert flagged(exact, threshold).sum() == 2  # at most, equal ones too
    tuned = tune(items, {"max_alarms_per_day": 50}, volume=5000.0, combined=True)
    assert tuned.threshold.basis == "p_combined"
    assert tuned.threshold.p_value == pytest.approx(0.01)
    assert "at most 0.01" in tuned.words
    assert MEASURED in tuned.words


def test_a_capacity_takes_the_likeliest_also_where_the_probability_has_no_digits_left(items):
    sure = items.surprise + np.where(items.labels, 50.0, 0.0)
    night = replace(items, surprise=sure)
    assert (1.0 - np.exp(-sure) == 1.0).sum() > 20
    threshold = tune(night, {"capacity": 20.0}, combined=True).threshold
    assert threshold.basis == "probability"
    chosen = np.flatnonzero(flagged(night, threshold))
    assert set(chosen) == set(np.argsort(-sure)[:20])
    assert "probability" in threshold.in_words()


def test_labels_and_verdicts_choose_on_the_probability(items):
    by_score = tune(items, {"f_beta": 1.0}).threshold
    by_labels = tune(items, {"f_beta": 1.0}, combined=True).threshold
    assert (by_score.basis, by_labels.basis) == ("score", "probability")
    assert by_labels.expected_recall.estimate > by_score.expected_recall.estimate
    known = np.flatnonzero(flagged(items, by_labels) | (np.arange(len(items)) % 7 == 0))
    verdicts = pd.DataFrame(
        {"item": items.ids[known], "is_anomaly": items.labels[known], "audit": known % 7 == 0}
    )
    open_ = replace(items, labels=None)
    reviews = reviewed_items(open_, verdicts, flagged(items, by_labels))
    reviewed = tune(open_, {"min_recall": 0.5}, reviews=reviews, combined=True).threshold
    assert reviewed.basis == "probability"
    assert items.labels[flagged(items, reviewed)].sum() >= 0.4 * items.labels.sum()


@pytest.mark.parametrize("asked", ["fdr", "quantile", "tail_fpr", "value"])
def test_what_needs_the_models_own_scores_is_refused_with_what_to_ask_for(items, asked):
    with pytest.raises(ConfigError, match=r"--target-fpr.*--capacity.*leave out --by combined"):
        tune(items, {asked: 0.5}, combined=True)


def test_the_table_has_both_kinds_of_bounds_whichever_is_chosen(items):
    for combined in (False, True):
        table = tune(items, {"target_fpr": ALPHA}, current=Threshold(value=1.5),
                     combined=combined).table  # fmt: skip
        points = table[table["policy"] == f"fpr {ALPHA}"].set_index("basis")
        assert set(points.index) == {"score", "p_combined"}
        assert points["recall"]["p_combined"] > points["recall"]["score"]
        assert list(table["flagged"]) == sorted(table["flagged"])
        assert table["chosen"].sum() == 1
    plain = tune(replace(items, surprise=None, p_combined=None), {"target_fpr": ALPHA}).table
    assert "basis" not in plain.columns


def test_two_thresholds_on_different_bases_are_compared_on_the_same_items(items):
    own, learned = tune(items, {"target_fpr": ALPHA}), tune(items, {"f_beta": 1.0}, combined=True)
    found = compare(items, own.threshold, learned.threshold)
    assert found.only_a > 0
    assert found.only_b > 0
    wrong = [(flagged(items, t.threshold) & ~items.labels).mean() for t in (own, learned)]
    rate = found.figures["fpr"][2]
    n = (~items.labels).mean()
    assert rate.low <= (wrong[1] - wrong[0]) / n <= rate.high
    assert found.figures["recall"][2].low > 0.0


def test_before_anything_is_learned_that_is_said(tmp_path, items):
    frame = pd.DataFrame({"id": ["a", "b", "c"], "score": [1.0, 2.0, 3.0]})
    learning = frame.assign(p_combined=[0.1, 0.01, 0.001], probability=[None, 0.2, 0.9])
    frame.to_parquet(tmp_path / "plain.parquet")
    learning.to_parquet(tmp_path / "some.parquet")
    learning.assign(probability=np.nan).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(DataError, match="Score with --learn"):
        read_scores(tmp_path / "plain.parquet")[0].learned()
    with pytest.raises(DataError, match="feedback learn"):
        read_scores(tmp_path / "none.parquet")[0].learned()
    some = read_scores(tmp_path / "some.parquet")[0]
    known = some.learned()
    assert list(known.ids) == ["b", "c"]
    assert known.left_out == {"scored before anything was learned": 1}
    assert known.surprise == pytest.approx(-np.log([0.8, 0.1]))
    with pytest.raises(DataError, match="verdicts had taught something of 2"):
        some.on("p_combined")
    learning.assign(p_combined=0.0).to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(DataError, match="is 0 in row 1, which is no share"):
        read_scores(tmp_path / "bad.parquet")
    assert np.isfinite(surprise_of(np.array([0.0, 1.0]))).all()


def test_a_record_says_what_it_bounds_and_earlier_ones_stay_as_they_are(tmp_path):
    own = Threshold(value=2.0, created="2026-01-01")
    assert "basis" not in own.to_dict()
    learned = own.changed(basis="p_combined", value=p_bound(ALPHA))
    learned.save(tmp_path / "threshold.json")
    assert Threshold.load(tmp_path / "threshold.json") == learned
    assert learned.bound_text == "p_combined <= 0.01"
