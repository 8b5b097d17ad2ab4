"""Verdicts on flagged items and a random audit: the truth is found, and what is unknown is said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vae_anomaly.errors import CalibrationError
from vae_anomaly.thresholds import ReviewedSample, Threshold, threshold_from_reviews

SHARE, DISTANCE, OLD = 0.05, 2.0, 2.0
COSTS = {"cost_fp": 1.0, "cost_fn": 20.0}


def truth(value: float) -> dict[str, float]:
    """Figures of a threshold on N(0, 1) normals and N(2, 1) anomalies, 5 % of all items."""
    tp, fp = SHARE * stats.norm.sf(value - DISTANCE), (1 - SHARE) * stats.norm.sf(value)
    return {
        "expected_fpr": stats.norm.sf(value),
        "expected_recall": tp / SHARE,
        "expected_precision": tp / (tp + fp),
        "expected_cost": fp * COSTS["cost_fp"] + (SHARE - tp) * COSTS["cost_fn"],
    }


def reviews(seed: int, *, n: int = 20_000, audit: float = 0.02, reviewed: float = 1.0):
    """Return scores, verdicts (NaN = nobody looked), flagged, audit and the labels behind them."""
    draw = np.random.default_rng(seed)
    labels = draw.random(n) < SHARE
    scores = draw.normal(size=n) + DISTANCE * labels
    flagged = scores > OLD
    drawn = ~flagged & (draw.random(n) < audit)
    chance = np.where(scores > 3, 1.0, reviewed)  # the busy look at the strangest first
    seen = drawn | (flagged & (draw.random(n) < chance))
    return scores, np.where(seen, labels, np.nan), flagged, drawn, labels


def sample(seed: int, **how: float) -> ReviewedSample:
    scores, verdicts, flagged, drawn, _ = reviews(seed, **how)
    return ReviewedSample.of(scores, verdicts, flagged=flagged, audit=drawn)


@pytest.mark.parametrize("value", [1.5, 2.0, 2.5])
@pytest.mark.parametrize("reviewed", [1.0, 0.3], ids=["all flags seen", "mostly high flags seen"])
def test_corrected_figures_hold_the_truth_as_often_as_they_say(value, reviewed):
    inside, n = dict.fromkeys(truth(value), 0), 60
    for seed in range(n):
        got = sample(seed, reviewed=reviewed).measured(Threshold(value=value), **COSTS)
        for name, true in truth(value).items():
            inside[name] += getattr(got, name).low <= true <= getattr(got, name).high
    for name, count in inside.items():
        assert stats.binomtest(count, n, 0.95).pvalue > 0.001, (name, count)


def test_uncorrected_figures_are_biased_and_corrected_ones_are_not():
    plain, corrected = [], []
    for seed in range(20):
        scores, verdicts, flagged, drawn, _ = reviews(seed)
        seen = np.isfinite(verdicts)
        naive = Threshold(value=OLD).measured(scores[seen], verdicts[seen])
        plain.append(naive.expected_recall.estimate)
        made = ReviewedSample.of(scores, verdicts, flagged=flagged, audit=drawn)
        corrected.append(made.measured(Threshold(value=OLD)).expected_recall.estimate)
    true = truth(OLD)["expected_recall"]
    assert np.mean(plain) > 0.9 > true + 0.3
    assert np.mean(corrected) == pytest.approx(true, abs=0.06)


def test_precision_is_right_where_reviewers_look_at_the_strangest_first():
    scores, verdicts, flagged, drawn, _ = reviews(0, n=100_000, reviewed=0.2)
    seen = np.isfinite(verdicts) & flagged
    true = truth(OLD)["expected_precision"]
    assert verdicts[seen].mean() > true + 0.05
    made = ReviewedSample.of(scores, verdicts, flagged=flagged, audit=drawn)
    assert made.measured(Threshold(value=OLD)).expected_precision.estimate == pytest.approx(
        true, abs=0.02
    )


def test_the_least_cost_of_an_audited_sample_is_the_closed_forms():
    odds = (1 - SHARE) * COSTS["cost_fp"] / (SHARE * COSTS["cost_fn"])
    best = DISTANCE / 2 + np.log(odds) / DISTANCE
    found = [threshold_from_reviews(sample(s, n=50_000), "cost", **COSTS) for s in range(10)]
    assert np.mean([t.value for t in found]) == pytest.approx(best, abs=0.2)
    assert min(t.value for t in found) < OLD
    best_cost = truth(best)["expected_cost"]
    assert np.mean([t.expected_cost.low <= 1.1 * best_cost for t in found]) >= 0.9


def test_without_an_audit_recall_and_cost_are_unknown_and_that_is_said():
    got = threshold_from_reviews(sample(0, audit=0.0), "min_precision", target=0.6)
    assert got.value >= 1.99
    assert got.expected_recall is None
    assert got.expected_precision.estimate == pytest.approx(0.6, abs=0.08)
    assert "unknown" in got.note
    cheap = threshold_from_reviews(sample(0, audit=0.0), "cost", **COSTS)
    assert cheap.expected_cost is None


@pytest.mark.parametrize("policy", ["f1", "youden", "min_recall"])
def test_a_policy_that_weighs_misses_is_refused_without_an_audit(policy):
    target = 0.9 if policy == "min_recall" else None
    with pytest.raises(CalibrationError, match=r"random sample of unflagged items reviewed"):
        threshold_from_reviews(sample(0, audit=0.0), policy, target=target)


def test_below_what_was_reviewed_nothing_is_claimed():
    lower = Threshold(value=1.0)
    assert sample(0, audit=0.0).measured(lower, **COSTS) == lower


def test_an_audit_that_finds_nothing_does_not_claim_that_nothing_is_missed():
    scores = np.concatenate([np.linspace(0, 1, 1000), np.linspace(2, 3, 50)])
    flagged = scores > 1.5
    audit = np.zeros(1050, bool)
    audit[:1000:20] = True
    verdicts = np.where(flagged, 1.0, np.where(audit, 0.0, np.nan))
    got = ReviewedSample.of(scores, verdicts, flagged=flagged, audit=audit)
    recall = got.measured(Threshold(value=1.5)).expected_recall
    assert recall.estimate == 1.0
    assert recall.low < 0.75  # 3 in 50 may be missed: some 60 of the 1,000


def test_a_complaint_stands_for_itself_only():
    scores, verdicts, flagged, drawn, labels = reviews(0, n=5000)
    verdicts[np.flatnonzero(labels & ~flagged)[:5]] = 1.0
    made = ReviewedSample.of(scores, verdicts, flagged=flagged, audit=drawn)
    assert made.weights.sum() == pytest.approx(5000)
    assert (made.weights[made.stratum < 0] == 1).all()


def test_weights_add_up_to_all_items_whatever_was_reviewed():
    for reviewed in (0.05, 0.3, 1.0):
        assert sample(1, reviewed=reviewed).weights.sum() == pytest.approx(20_000)


def test_groups_widen_the_interval():
    scores, verdicts, flagged, drawn, labels = reviews(0)
    groups = np.where(labels, np.arange(labels.size) % 5, 100 + np.arange(labels.size) % 400)
    alone = ReviewedSample.of(scores, verdicts, flagged=flagged, audit=drawn)
    together = ReviewedSample.of(scores, verdicts, flagged=flagged, audit=drawn, groups=groups)
    one, other = (s.measured(Threshold(value=OLD)).expected_precision for s in (alone, together))
    assert other.high - other.low > one.high - one.low


def test_amounts_say_what_the_misses_are_worth():
    inside = 0
    for seed in range(20):
        scores, verdicts, flagged, drawn, labels = reviews(seed)
        made = ReviewedSample.of(
            scores, verdicts, flagged=flagged, audit=drawn, amounts=np.where(labels, 10.0, 1.0)
        )
        got = made.measured(Threshold(value=OLD), **COSTS).expected_cost
        tp, fp = (share * stats.norm.sf(OLD - d) for share, d in ((SHARE, DISTANCE), (0.95, 0)))
        inside += got.low <= fp + 20 * 10 * (SHARE - tp) <= got.high
    assert inside >= 17


def test_verdicts_on_no_flagged_item_are_refused():
    with pytest.raises(CalibrationError, match="None of the 2 flagged items has a verdict"):
        ReviewedSample.of([0.0, 1.0, 2.0, 3.0], [0, np.nan, np.nan, np.nan], flagged=[0, 0, 1, 1])


def test_verdicts_of_one_kind_are_refused():
    scores = np.arange(10.0)
    made = ReviewedSample.of(scores, np.ones(10), flagged=np.ones(10, bool))
    with pytest.raises(CalibrationError, match="without normal items"):
        threshold_from_reviews(made, "f1")
