"""Policies that need normals only: the promise kept, ties said, errors clear."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.thresholds import Threshold, smallest_fpr

GRID = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)  # N(0, 1) without its noise

finite = st.floats(-50, 50, allow_nan=False)
score_lists = st.lists(finite, min_size=2, max_size=80).filter(lambda s: min(s) < max(s))


def test_the_fpr_threshold_of_a_gaussian_is_its_quantile():
    for fpr in (0.1, 0.01, 0.001):
        expected = stats.norm.isf(fpr)
        assert Threshold.from_fpr(GRID, fpr).value == pytest.approx(expected, abs=0.02)


def test_achieved_fpr_on_exchangeable_normals_is_at_most_the_target_on_average():
    rates, target, n = [], 0.05, 59
    for seed in range(200):
        draw = np.random.default_rng(seed)
        threshold = Threshold.from_fpr(draw.normal(size=n), target)
        rates.append(stats.norm.sf(threshold.value))  # the true rate of this threshold
    k = np.floor(target * (n + 1))
    spread = stats.beta.std(k, n + 1 - k) / np.sqrt(200)
    assert np.mean(rates) == pytest.approx(k / (n + 1), abs=3 * spread)
    assert k / (n + 1) <= target


def test_the_stated_interval_holds_the_true_rate_as_often_as_it_says():
    inside = 0
    for seed in range(300):
        scores = np.random.default_rng(seed).normal(size=200)
        threshold = Threshold.from_fpr(scores, 0.05)
        rate = stats.norm.sf(threshold.value)
        inside += threshold.expected_fpr.low <= rate <= threshold.expected_fpr.high
    assert stats.binomtest(inside, 300, 0.95).pvalue > 0.001


@pytest.mark.parametrize("value", [0.5, 1.5, 2.5])
def test_the_interval_of_a_value_set_by_hand_holds_its_rate_at_least_as_often_as_it_says(value):
    inside, rate = 0, stats.norm.sf(value)
    for seed in range(300):
        scores = np.random.default_rng(seed).normal(size=200)
        stated = Threshold.from_manual(scores, value).expected_fpr
        inside += stated.low <= rate <= stated.high
    assert stats.binomtest(inside, 300, 0.95, alternative="less").pvalue > 0.01


def test_a_value_that_is_no_number_is_refused():
    with pytest.raises(ConfigError, match="must be a finite number; got nan"):
        Threshold.from_manual(GRID, float("nan"))


def test_groups_keep_the_promise_where_single_items_break_it():
    """Items of a group share a shift, so only whole groups are exchangeable."""
    by_item, by_group = [], []
    for seed in range(300):
        draw = np.random.default_rng(seed)
        shift = draw.normal(size=19)
        scores = np.repeat(shift, 20) + 0.1 * draw.normal(size=380)
        groups = np.repeat(np.arange(19), 20)
        new = draw.normal() + 0.1 * draw.normal(size=20)  # one new group
        by_item.append(np.mean(new > Threshold.from_fpr(scores, 0.05).value))
        by_group.append(np.mean(new > Threshold.from_fpr(scores, 0.05, groups=groups).value))
    band = 3 * np.std(by_group) / np.sqrt(300)
    assert np.mean(by_group) <= 0.05 + band
    assert np.mean(by_item) > np.mean(by_group)


@given(score_lists, st.floats(0.02, 0.9))
def test_at_most_the_allowed_share_of_calibration_normals_is_flagged(scores, fpr):
    n = len(scores)
    if fpr < smallest_fpr(n) * (1 - 1e-9):
        with pytest.raises(CalibrationError, match="at best"):
            Threshold.from_fpr(scores, fpr)
        return
    threshold = Threshold.from_fpr(scores, fpr)
    assert 1 + int(threshold.flag(scores).sum()) <= fpr * (n + 1) + 1e-6


@given(score_lists, st.floats(0.3, 0.9), st.floats(0.3, 0.9))
def test_a_lower_target_never_gives_a_lower_threshold(scores, one, other):
    strict, loose = sorted((max(one, 1 / 3), max(other, 1 / 3)))
    assert Threshold.from_fpr(scores, strict).value >= Threshold.from_fpr(scores, loose).value


@given(score_lists, st.floats(0.35, 0.9))
def test_a_monotone_change_of_scale_does_not_change_the_flags(scores, fpr):
    s = np.array(scores)
    flags = Threshold.from_fpr(s, fpr).flag(s)
    assert np.array_equal(flags, Threshold.from_fpr(2.0 * s, fpr).flag(2.0 * s))


@given(score_lists, st.floats(0.35, 0.9))
def test_one_item_a_group_is_the_same_as_no_groups(scores, fpr):
    groups = np.arange(len(scores))
    with_groups = Threshold.from_fpr(scores, fpr, groups=groups)
    assert with_groups.value == Threshold.from_fpr(scores, fpr).value


def test_exactly_n_plus_one_over_one_normals_support_the_rate():
    scores = np.arange(99.0)
    assert Threshold.from_fpr(scores, 0.01).value == 98.0
    with pytest.raises(CalibrationError, match="needs at least 99 normal scores; got 98"):
        Threshold.from_fpr(scores[:-1], 0.01)


def test_too_few_groups_are_named_as_groups():
    with pytest.raises(CalibrationError, match="needs at least 19 normal groups; got 4"):
        Threshold.from_fpr(np.arange(40.0), 0.05, groups=np.arange(40) % 4)


def test_ties_at_the_bound_are_not_flagged_and_are_said():
    scores = np.array([0.0] * 90 + [5.0] * 10)
    threshold = Threshold.from_fpr(scores, 0.05)
    assert (threshold.value, threshold.flag(scores).sum()) == (5.0, 0)
    assert "10 normals share the score" in threshold.note


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([], "no normal scores"),
        ([1.0], "at least 2 normal scores"),
        ([2.0] * 200, "All 200 normal scores are equal"),
        ([0.0, np.nan, 1.0], "not finite"),
        ([0.0, np.inf, 1.0], "not finite"),
    ],
    ids=["none", "one", "all equal", "nan", "inf"],
)
@pytest.mark.parametrize(
    "policy",
    [
        lambda s: Threshold.from_fpr(s, 0.5),
        lambda s: Threshold.from_max_alarms(s, 5, 10),
        lambda s: Threshold.from_quantile(s, 0.5),
        lambda s: Threshold.from_tail(s, 0.001),
    ],
    ids=["fpr", "max_alarms", "quantile", "tail"],
)
def test_scores_that_carry_no_threshold_are_refused(policy, scores, message):
    with pytest.raises(CalibrationError, match=message):
        policy(scores)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_a_rate_outside_zero_to_one_is_refused(rate):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Threshold.from_fpr([0.0, 1.0], rate)


def test_max_alarms_is_the_rate_times_the_volume():
    threshold = Threshold.from_max_alarms(GRID, 20, 5000)
    assert threshold.value == Threshold.from_fpr(GRID, 0.004).value
    assert threshold.alarms_per_day(5000).estimate == pytest.approx(20, rel=0.01)


def test_max_alarms_beyond_the_normals_says_how_few_they_support():
    with pytest.raises(CalibrationError, match="50 alarms at best"):
        Threshold.from_max_alarms(np.arange(99.0), 20, 5000)


def test_max_alarms_above_the_volume_is_refused():
    with pytest.raises(ConfigError, match="below the daily volume"):
        Threshold.from_max_alarms(GRID, 20, 10)


def test_the_quantile_policy_cuts_these_scores_where_it_says():
    threshold = Threshold.from_quantile(np.arange(1, 101.0), 0.95)
    assert (threshold.value, int(threshold.flag(np.arange(1, 101.0)).sum())) == (95.0, 5)


@pytest.mark.parametrize("fpr", [1e-3, 1e-4, 1e-5])
def test_the_tail_of_an_exponential_reaches_its_quantile(fpr):
    scores = stats.expon.ppf((np.arange(5000) + 0.5) / 5000)
    threshold = Threshold.from_tail(scores, fpr)
    assert threshold.value == pytest.approx(-np.log(fpr), rel=0.03)
    assert threshold.expected_fpr.low < fpr < threshold.expected_fpr.high


def test_the_tail_is_marked_as_extrapolation_only_beyond_the_normals():
    scores = np.random.default_rng(0).exponential(size=2000)
    assert Threshold.from_tail(scores, 1e-5).extrapolated
    assert not Threshold.from_tail(scores, 0.01).extrapolated


def test_a_tail_that_does_not_fit_is_said():
    draw = np.random.default_rng(0)
    lumps = np.concatenate([draw.normal(0, 1, 1900), 8 + 0.01 * draw.normal(size=100)])
    threshold = Threshold.from_tail(lumps, 1e-4)
    assert threshold.parameters["fit_p"] < 0.05
    assert "does NOT fit" in threshold.note


def test_the_tail_needs_enough_scores():
    with pytest.raises(CalibrationError, match="at least 25 scores"):
        Threshold.from_tail(np.arange(100.0), 0.001)


def test_fdr_controls_the_share_of_false_alarms_among_flags():
    shares = []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        p = np.concatenate([draw.uniform(size=450), draw.uniform(0, 1e-4, size=50)])
        flags = Threshold.from_fdr(-np.log10(p), 0.2).flag(-np.log10(p))
        shares.append(flags[:450].sum() / max(flags.sum(), 1))
    assert np.mean(shares) <= 0.2 + 3 * np.std(shares) / np.sqrt(200)
    assert np.mean(shares) == pytest.approx(0.2 * 0.9, abs=0.02)  # BH is exact up to pi_0


def test_fdr_flags_nothing_where_nothing_stands_out():
    scores = -np.log10((np.arange(100) + 0.9) / 100)
    threshold = Threshold.from_fdr(scores, 0.05)
    assert not threshold.flag(scores).any()


@given(score_lists, st.integers(1, 80))
def test_capacity_is_never_exceeded(scores, capacity):
    capacity = min(capacity, len(scores))
    assert Threshold.from_capacity(scores, capacity).flag(scores).sum() <= capacity


def test_capacity_of_a_gaussian_is_its_quantile():
    threshold = Threshold.from_capacity(GRID, 50, volume=1000)
    assert threshold.value == pytest.approx(stats.norm.isf(0.05), abs=0.01)


NORMALS = -np.log10(np.arange(1, 200) / 200.0)  # 199 held-out normals: nothing below p = 0.005


def test_fdr_says_when_its_flags_rest_on_extrapolated_p_values():
    batch = np.r_[np.full(3, 4.0), -np.log10((np.arange(97) + 0.9) / 97)]
    threshold = Threshold.from_fdr(batch, 0.1, normals=NORMALS)
    assert (threshold.flag(batch).sum(), threshold.extrapolated) == (3, True)
    assert "EXTRAPOLATED: 3 of them have a p-value below" in threshold.note
    assert "With counted p-values none would be flagged" in threshold.note
    assert threshold.parameters["smallest_p"] == pytest.approx(1 / 200)
    assert threshold.parameters["flagged_counted"] == 0
    assert Threshold.from_dict(threshold.to_dict()) == threshold


def test_fdr_says_when_its_flags_hold_with_counted_p_values():
    """10 of 100 at p = 0.001: counted as 0.005 each they pass 0.1 * 10 / 100 as well."""
    batch = np.r_[np.full(10, 3.0), np.linspace(0.0, 0.3, 90)]
    threshold = Threshold.from_fdr(batch, 0.1, normals=NORMALS)
    assert (threshold.flag(batch).sum(), threshold.extrapolated) == (10, False)
    assert "All flags hold with counted p-values" in threshold.note


def test_the_scores_of_counted_p_values_are_not_taken_for_extrapolated():
    batch = np.r_[np.full(10, NORMALS.max()), np.linspace(0.0, 0.3, 90)]
    threshold = Threshold.from_fdr(batch, 0.1, normals=NORMALS)
    assert (threshold.flag(batch).sum(), threshold.parameters["flagged_beyond"]) == (10, 0)


def test_fdr_of_scores_alone_does_not_claim_to_know_what_was_counted():
    threshold = Threshold.from_fdr(np.r_[np.full(3, 6.0), np.linspace(0.0, 0.3, 97)], 0.1)
    assert not threshold.extrapolated
    assert "counted" not in threshold.note
