"""Policies with labels, on two Gaussians whose best threshold is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.thresholds import Threshold, candidate_table

DISTANCE = 2.0
N_NORMAL, N_ANOMALY = 20_000, 5_000


def _grid(n: int) -> np.ndarray:
    return stats.norm.ppf((np.arange(n) + 0.5) / n)


SCORES = np.concatenate([_grid(N_NORMAL), _grid(N_ANOMALY) + DISTANCE])
LABELS = np.repeat([0, 1], [N_NORMAL, N_ANOMALY])


def _f1(x: float, share: float = N_ANOMALY / (N_NORMAL + N_ANOMALY)) -> float:
    tp, fp = share * stats.norm.sf(x - DISTANCE), (1 - share) * stats.norm.sf(x)
    return 2 * tp / (tp + fp + share)


def test_youden_is_halfway_between_equal_gaussians():
    value = Threshold.from_labels(SCORES, LABELS, "youden").value
    assert value == pytest.approx(DISTANCE / 2, abs=0.02)


def test_f1_is_the_closed_forms_maximum():
    best = optimize.minimize_scalar(lambda x: -_f1(x), bounds=(0, 4), method="bounded").x
    threshold = Threshold.from_labels(SCORES, LABELS, "f1")
    assert threshold.value == pytest.approx(best, abs=0.03)
    assert threshold.expected_recall.estimate == pytest.approx(
        stats.norm.sf(best - DISTANCE), abs=0.02
    )


@pytest.mark.parametrize(("cost_fp", "cost_fn"), [(1.0, 1.0), (1.0, 50.0), (10.0, 1.0)])
def test_cost_is_the_likelihood_ratios_threshold(cost_fp, cost_fn):
    odds = N_NORMAL * cost_fp / (N_ANOMALY * cost_fn)
    expected = DISTANCE / 2 + np.log(odds) / DISTANCE
    found = Threshold.from_cost(SCORES, LABELS, cost_fp=cost_fp, cost_fn=cost_fn)
    assert found.value == pytest.approx(expected, abs=0.06)
    miss = N_ANOMALY * stats.norm.cdf(expected - DISTANCE) * cost_fn
    alarm = N_NORMAL * stats.norm.sf(expected) * cost_fp
    per_item = (miss + alarm) / (N_NORMAL + N_ANOMALY)
    assert found.expected_cost.estimate == pytest.approx(per_item, rel=0.06)  # nested


def test_amounts_make_dear_misses_count_more():
    amounts = np.where(SCORES > 1.0, 1.0, 100.0)  # the quiet anomalies are the dear ones
    plain = Threshold.from_cost(SCORES, LABELS, cost_fp=1, cost_fn=1)
    dear = Threshold.from_cost(SCORES, LABELS, cost_fp=1, cost_fn=1, amounts=amounts)
    assert dear.value < plain.value


def test_min_recall_is_the_quantile_of_the_anomalies():
    value = Threshold.from_labels(SCORES, LABELS, "min_recall", target=0.9).value
    assert value == pytest.approx(DISTANCE + stats.norm.ppf(0.1), abs=0.01)


def test_min_precision_is_reached_with_the_most_recall():
    def precision(x: float) -> float:
        tp, fp = N_ANOMALY * stats.norm.sf(x - DISTANCE), N_NORMAL * stats.norm.sf(x)
        return tp / (tp + fp)

    expected = optimize.brentq(lambda x: precision(x) - 0.8, 0, 4)
    found = Threshold.from_labels(SCORES, LABELS, "min_precision", target=0.8)
    assert found.value == pytest.approx(expected, abs=0.03)


def test_a_precision_that_no_threshold_reaches_is_refused_with_the_best():
    scores, labels = [0.0, 1.0, 2.0, 3.0], [0, 1, 0, 0]
    with pytest.raises(CalibrationError, match=r"the best is 0\.333"):
        Threshold.from_labels(scores, labels, "min_precision", target=0.9)


@given(st.integers(0, 10_000))
def test_reported_figures_of_a_tuned_threshold_are_not_optimistic_on_noise(seed):
    """On pure noise the best F1 looks good on the data that chose it; nested, it does not."""
    draw = np.random.default_rng(seed)
    scores, labels = draw.normal(size=60), np.repeat([0, 1], 30)
    threshold = Threshold.from_labels(scores, labels, "youden")
    flags = threshold.flag(scores)
    chosen_on = flags[30:].mean() - flags[:30].mean()
    assert chosen_on >= 0
    assert threshold.expected_recall.low <= threshold.expected_recall.high


def test_nested_figures_on_noise_centre_on_chance():
    gains = []
    for seed in range(60):
        draw = np.random.default_rng(seed)
        found = Threshold.from_labels(draw.normal(size=80), np.repeat([0, 1], 40), "youden")
        gains.append(found.expected_recall.estimate - found.expected_fpr.estimate)
    assert abs(np.mean(gains)) < 3 * np.std(gains) / np.sqrt(60)


def test_one_anomaly_gives_a_threshold_that_says_it_is_optimistic():
    threshold = Threshold.from_labels([0.0, 1.0, 2.0, 9.0], [0, 0, 0, 1], "f1")
    assert 2.0 < threshold.value < 9.0
    assert "optimistic" in threshold.note


def test_no_anomalies_is_refused_with_the_remedy():
    with pytest.raises(CalibrationError, match=r"without anomalies.*needs no labels"):
        Threshold.from_labels([0.0, 1.0], [0, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "accuracy"}, "no policy 'accuracy'"),
        ({"policy": "min_recall"}, "needs a target"),
        ({"policy": "f-1"}, "greater than 0"),
    ],
    ids=["unknown", "no target", "negative beta"],
)
def test_a_policy_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Threshold.from_labels([0.0, 1.0], [0, 1], **arguments)


@pytest.mark.parametrize("costs", [(0, 0), (-1, 2), (1, float("nan"))])
def test_costs_that_mean_nothing_are_refused(costs):
    with pytest.raises(ConfigError, match="Costs must be"):
        Threshold.from_cost([0.0, 1.0], [0, 1], cost_fp=costs[0], cost_fn=costs[1])


def test_groups_widen_the_interval_of_a_tuned_threshold(rng):
    groups = np.repeat(np.arange(20), 20)
    labels = np.tile(np.repeat([0, 1], 10), 20)
    scores = np.repeat(rng.normal(size=20), 20) + labels + 0.1 * rng.normal(size=400)
    apart = Threshold.from_labels(scores, labels).expected_fpr
    together = Threshold.from_labels(scores, labels, groups=groups).expected_fpr
    assert together.high - together.low > apart.high - apart.low


def test_the_candidate_table_lists_supported_rates_and_marks_the_chosen():
    chosen = Threshold.from_fpr(SCORES[:200], 0.03)
    table = candidate_table(SCORES[:200], chosen=chosen, volume=1000)
    assert table["chosen"].sum() == 1
    assert table.loc[table["chosen"], "threshold"].item() == chosen.value
    assert table["fpr"].min() >= 1 / 201
    assert table["threshold"].is_monotonic_decreasing
    assert np.allclose(table["alarms_per_day"], table["fpr"] * 1000)


def test_the_candidate_table_has_recall_and_precision_with_labels():
    table = candidate_table(SCORES, LABELS)
    assert {"f_beta 1", "youden"} <= set(table["policy"])
    assert table[["recall", "precision", "recall_low", "precision_high"]].notna().all(axis=None)
