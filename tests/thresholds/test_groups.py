"""Normals that come in groups: a copy is no evidence, and the promise holds for a new group."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vae_anomaly.errors import CalibrationError
from vae_anomaly.metrics import effective_items, grouped_interval, proportion_interval
from vae_anomaly.thresholds import Threshold, candidate_table
from vae_anomaly.thresholds.interactive import ThresholdContext

COPIES = 5


def five_times(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every item five times, and which is a copy of which."""
    return np.repeat(values, COPIES), np.repeat(np.arange(values.size), COPIES)


def clustered(draw: np.random.Generator, n_groups: int, size: int, own: float) -> np.ndarray:
    """N(0, 1) scores of which a share of the variance is the group's own, (groups, size)."""
    shift = np.sqrt(own) * draw.normal(size=(n_groups, 1))
    return shift + np.sqrt(1 - own) * draw.normal(size=(n_groups, size))


def width(interval) -> float:
    return interval.high - interval.low


def test_copies_within_a_group_do_not_narrow_the_interval_of_a_share():
    hits = np.arange(60) < 6
    copied, groups = five_times(hits)
    single = proportion_interval(6, 60)
    grouped = grouped_interval(copied, np.ones(copied.size), groups)
    assert width(grouped) == pytest.approx(width(single), rel=0.05)
    assert width(proportion_interval(30, 300)) < 0.5 * width(single)  # as if they were items


@pytest.mark.parametrize("n_hits", [0, 60])
def test_no_flag_in_any_group_is_not_certainty(n_hits):
    copied, groups = five_times(np.arange(60) < n_hits)
    assert width(grouped_interval(copied, np.ones(copied.size), groups)) > 0.04


def test_a_single_group_says_nothing_about_others():
    share = grouped_interval([1, 0, 0, 0], np.ones(4), np.zeros(4))
    assert (share.estimate, share.low, share.high) == (0.25, 0.0, 1.0)


def test_items_that_do_not_know_of_each_other_count_as_items():
    draw = np.random.default_rng(0)
    hits = draw.random(4000) < 0.1
    n = effective_items(hits, np.ones(4000), np.repeat(np.arange(400), 10))
    assert 3000 < n <= 4000


@pytest.mark.parametrize("own", [0.0, 0.5], ids=["alone", "together"])
def test_the_grouped_interval_holds_the_true_rate_about_as_often_as_it_says(own):
    inside, groups, bound = 0, np.repeat(np.arange(40), 10), stats.norm.isf(0.05)
    for seed in range(300):
        flags = clustered(np.random.default_rng(seed), 40, 10, own).ravel() > bound
        share = grouped_interval(flags, np.ones(400), groups)
        inside += share.low <= 0.05 <= share.high
    assert inside / 300 > 0.92


def test_one_item_a_group_gives_the_interval_of_single_items():
    scores = np.random.default_rng(0).normal(size=200)
    for fpr in (0.05, 0.01):
        single = Threshold.from_fpr(scores, fpr).expected_fpr
        grouped = Threshold.from_fpr(scores, fpr, groups=np.arange(200)).expected_fpr
        assert grouped.high == pytest.approx(single.high, rel=0.01)
        assert grouped.low == pytest.approx(single.low, rel=0.01)


# --- tail ---------------------------------------------------------------------------------------


def test_one_item_a_group_has_the_tail_of_single_items():
    scores = np.random.default_rng(1).exponential(size=1000)
    single, grouped = Threshold.from_tail(scores, 1e-4), Threshold.from_tail(
        scores, 1e-4, groups=np.arange(1000)
    )  # fmt: skip
    assert grouped.value == pytest.approx(single.value, rel=1e-9)
    assert grouped.parameters["fit_p"] == single.parameters["fit_p"]


def test_copies_within_a_group_do_not_narrow_the_interval_of_the_tail():
    scores = np.random.default_rng(1).exponential(size=1000)
    copied, groups = five_times(scores)
    single = Threshold.from_tail(scores, 5e-4)
    grouped = Threshold.from_tail(copied, 5e-4, groups=groups)
    blind = Threshold.from_tail(copied, 5e-4)
    assert grouped.value == pytest.approx(single.value, rel=1e-9)
    assert np.log(grouped.expected_fpr.high / 5e-4) == pytest.approx(
        np.log(single.expected_fpr.high / 5e-4), rel=0.3
    )
    assert width(blind.expected_fpr) < 0.6 * width(grouped.expected_fpr)


def test_copies_do_not_make_a_fitting_tail_look_misfit():
    copied, groups = five_times(np.random.default_rng(2).exponential(size=600))
    assert Threshold.from_tail(copied, 1e-3, groups=groups).parameters["fit_p"] > 0.05


def test_one_large_tame_group_does_not_loosen_the_tail_for_new_groups():
    """By item the tame group has nine tenths of the say; a new group is more likely wild."""
    tame, rates_by_group, rates_by_item = 9000, [], []
    for seed in range(20):
        draw = np.random.default_rng(seed)
        scores = np.concatenate([draw.exponential(size=1000), 0.2 * draw.exponential(size=tame)])
        groups = np.concatenate([np.repeat(np.arange(100), 10), np.full(tame, 100)])
        by_group = Threshold.from_tail(scores, 0.002, groups=groups)
        rates_by_group.append(np.exp(-by_group.value))  # of a new wild group
        rates_by_item.append(np.exp(-Threshold.from_tail(scores, 0.002).value))
    assert np.median(rates_by_group) < 0.003  # asked for 0.002
    assert np.median(rates_by_item) > 0.006


@pytest.mark.parametrize("own", [0.0, 0.5], ids=["alone", "together"])
def test_the_interval_of_the_tail_holds_the_rate_on_unseen_groups(own):
    inside = 0
    for seed in range(60):
        z = clustered(np.random.default_rng(seed), 200, 5, own).ravel()
        groups = np.repeat(np.arange(200), 5)
        tail = Threshold.from_tail(-stats.norm.logsf(z), 0.002, groups=groups)
        inside += tail.expected_fpr.low <= np.exp(-tail.value) <= tail.expected_fpr.high
    assert inside / 60 > 0.9


def test_a_tail_of_few_groups_is_refused_however_many_items_they_hold():
    draw = np.random.default_rng(0)
    scores, groups = clustered(draw, 20, 100, own=0.5).ravel(), np.repeat(np.arange(20), 100)
    with pytest.raises(CalibrationError, match=r"at least 25 groups .* of more groups"):
        Threshold.from_tail(scores, 0.001, groups=groups)


def test_the_tail_says_how_many_groups_it_rests_on_and_marks_extrapolation_by_groups():
    scores = np.random.default_rng(0).exponential(size=2000)
    tail = Threshold.from_tail(scores, 0.002, groups=np.repeat(np.arange(400), 5))
    assert tail.parameters["groups"] == 400
    assert "of 400 groups" in tail.note
    assert tail.extrapolated  # 1 / 401 > 0.002 although 1 / 2001 is not
    assert not Threshold.from_tail(scores, 0.002).extrapolated


# --- capacity -----------------------------------------------------------------------------------


def test_copies_within_a_group_do_not_narrow_the_interval_of_capacity():
    scores = np.random.default_rng(0).normal(size=200)
    copied, groups = five_times(scores)
    shares = []
    for values, of in ((scores, None), (copied, groups), (copied, None)):
        found = Threshold.from_capacity(values, 50, volume=1000, groups=of).parameters
        shares.append(found["flagged_share_high"] - found["flagged_share_low"])
    single, grouped, blind = shares
    assert grouped == pytest.approx(single, rel=0.05)
    assert blind < grouped / 2


def test_capacity_says_how_far_other_days_stray():
    threshold = Threshold.from_capacity(
        np.arange(400.0), 50, volume=1000, groups=np.arange(400) // 10
    )
    assert "on average 50 a day (" in threshold.note
    assert "as 40 groups tell it" in threshold.note


# --- false discoveries --------------------------------------------------------------------------


def batch_of(draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """60 new groups of 5 normals and 40 single anomalies; who is normal."""
    scores = np.concatenate([clustered(draw, 60, 5, own=0.7).ravel(), draw.normal(6, 1, size=40)])
    return scores, np.arange(scores.size) < 300


def test_fdr_is_kept_on_new_groups_when_calibration_normals_come_in_groups():
    shares, found, groups = [], [], np.repeat(np.arange(99), 5)
    for seed in range(150):
        draw = np.random.default_rng(seed)
        normals = clustered(draw, 99, 5, own=0.7).ravel()
        scores, normal = batch_of(draw)
        cut = Threshold.from_fdr(scores, 0.2, normals=normals, normal_groups=groups)
        flags = cut.flag(scores)
        shares.append(flags[normal].sum() / max(flags.sum(), 1))
        found.append(flags[~normal].mean())
    assert np.mean(shares) <= 0.2 + 3 * np.std(shares) / np.sqrt(150)
    assert np.mean(found) > 0.9


def test_copied_normals_show_no_smaller_p_value_than_their_groups():
    normals, groups = five_times(np.arange(19.0))
    scores = np.r_[np.arange(19.0), 18.5, 50.0]
    copied = Threshold.from_fdr(scores, 0.2, normals=normals, normal_groups=groups)
    single = Threshold.from_fdr(scores, 0.2, normals=np.arange(19.0), normal_groups=np.arange(19))
    assert copied.value == single.value
    assert copied.parameters["smallest_p"] == pytest.approx(1 / 20)
    assert "19 groups of 95 held-out normals" in copied.note


def test_fdr_says_from_how_many_groups_its_flags_come():
    scores = np.r_[np.full(3, 6.0), 5.0, np.linspace(0.01, 1, 96)]
    groups = np.r_[[7, 7, 7, 8], np.arange(96) + 10]
    threshold = Threshold.from_fdr(scores, 0.1, groups=groups)
    assert "come from 2 of 98 groups" in threshold.note


# --- the other places that measure a rate -------------------------------------------------------


def test_a_threshold_moved_by_hand_and_its_neighbours_have_intervals_of_groups():
    scores = np.repeat(np.random.default_rng(0).normal(size=40), 25)
    groups = np.repeat(np.arange(40), 25)
    by_hand = ThresholdContext(scores, scores, groups=groups).at(1.0)
    assert width(by_hand.expected_fpr) > 3 * width(
        ThresholdContext(scores, scores).at(1.0).expected_fpr
    )
    in_force = Threshold(value=1.0, policy="in force")
    table = candidate_table(scores, groups=groups, targets=(), others=[in_force])
    assert table.loc[0, "fpr_high"] == pytest.approx(by_hand.expected_fpr.high)
