"""False alarms to expect are exact, and their intervals hold as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vae_anomaly.jobs.report.night.held_out import HeldOutScores
from vae_anomaly.reports.facts.night import ScoringFacts


def scores_of_ranks(n: int) -> np.ndarray:
    """Anomaly scores of n held-out normals, rising: what each calibration gives."""
    return -np.log10(np.arange(n, 0, -1) / (n + 1))


@pytest.mark.parametrize(("n", "n_items"), [(20, 24), (99, 1_000), (500, 40)])
def test_the_interval_at_a_held_out_normal_ends_where_the_beta_binomial_law_does(n, n_items):
    held_out = HeldOutScores(scores_of_ranks(n), n)
    places = np.arange(0, n, max(1, n // 7))
    alarms = held_out.false_alarms(held_out.scores[places], n_items)
    for place, alarm in zip(places, alarms, strict=True):
        k = n - place  # the k-th largest, and k - 1 above it
        law = stats.betabinom(n_items, k, n + 1 - k)
        assert alarm.estimate == pytest.approx(law.mean())
        assert alarm.high == law.ppf(0.975)
        if k > 1:
            assert alarm.low == stats.betabinom(n_items, k - 1, n + 2 - k).ppf(0.025)


@pytest.mark.parametrize("rate", [0.3, 0.05, 0.01])
def test_nights_of_normals_lie_in_the_interval_at_least_as_often_as_it_says(rate):
    """New calibrations and new nights, at a threshold that none of them chose."""
    inside, n, n_items, bound = 0, 100, 400, stats.norm.isf(rate)
    for seed in range(300):
        draw = np.random.default_rng(seed)
        held_out = HeldOutScores(np.sort(draw.normal(size=n)), n)
        alarm = held_out.false_alarms(np.array([bound]), n_items)[0]
        inside += alarm.low <= np.sum(draw.normal(size=n_items) > bound) <= alarm.high
    assert stats.binomtest(inside, 300, 0.95, alternative="less").pvalue > 0.01


def test_more_normals_and_nothing_else_narrow_the_interval():
    few, many = (HeldOutScores(scores_of_ranks(n), n) for n in (99, 999))
    narrow, wide = (one.false_alarms(np.array([1.0]), 1_000)[0] for one in (many, few))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_beyond_all_normals_the_tail_estimates_and_what_was_counted_bounds():
    held_out = HeldOutScores(scores_of_ranks(99), 99)
    first, last = held_out.false_alarms(np.array([2.5, 6.0]), 1_000)
    assert (first.estimate, last.estimate) == pytest.approx((1_000 * 10**-2.5, 1e-3))
    assert first.low == last.low == 0.0
    assert first.high == last.high == stats.betabinom(1_000, 1, 99).ppf(0.975)


def test_beneath_all_normals_every_item_is_expected():
    alarm = HeldOutScores(scores_of_ranks(50), 50).false_alarms(np.array([-1.0]), 10)[0]
    assert (alarm.estimate, alarm.high) == (10.0, 10.0)


def test_quantiles_of_many_normals_say_nearly_what_all_of_them_say():
    scores, values = scores_of_ranks(5_000), np.array([0.5, 1.0, 2.0, 3.0])
    every = HeldOutScores(scores, 5_000).false_alarms(values, 10_000)
    some = HeldOutScores(np.quantile(scores, np.linspace(0, 1, 2_000)), 5_000)
    for a, b in zip(every, some.false_alarms(values, 10_000), strict=True):
        assert b.estimate == pytest.approx(a.estimate, rel=0.02, abs=2.1)
        assert b.high == pytest.approx(a.high, rel=0.02, abs=5)


def test_normals_of_few_groups_are_worth_as_much_as_these_groups():
    shift = np.random.default_rng(0).normal(size=20)
    scores, groups = np.repeat(shift, 30), np.repeat(np.arange(20), 30)
    order = np.argsort(scores)
    single, grouped = (
        HeldOutScores(scores[order], 600, codes).false_alarms(np.array([1.0]), 500)[0]
        for codes in (None, groups[order])
    )
    assert grouped.high - grouped.low > 2 * (single.high - single.low)
    alone = HeldOutScores(np.sort(shift), 20, np.arange(20)).false_alarms(np.array([1.0]), 500)[0]
    assert grouped.high == pytest.approx(alone.high, rel=0.2)


def test_where_nothing_was_kept_the_score_is_taken_at_its_word():
    facts = ScoringFacts("cards/1", "d" * 64, "tabular", {"value": 2.0}, (), 0)
    alarm = HeldOutScores.of(facts).false_alarms(np.array([2.0]), 1_000)[0]
    assert alarm.estimate == 10.0
    assert (alarm.low, alarm.high) == tuple(stats.binom.ppf([0.025, 0.975], 1_000, 0.01))


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(5), [50, 20, 10, 10, 9])])
def test_the_bins_of_a_histogram_hold_as_many_normals_as_the_night_has_items(groups):
    held_out = HeldOutScores(scores_of_ranks(99), 99, groups)
    assert held_out.expected(np.array([0.5, 1.0, 1.5]), 300).sum() == pytest.approx(300)
