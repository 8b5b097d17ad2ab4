"""What every policy owes: order kept, ties whole, monotone in what is asked, clear refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.errors import CalibrationError
from vae_anomaly.thresholds import Threshold

# each takes scores, labels and how much is asked, in (0, 1); more is never a higher threshold
POLICIES = {
    "fpr": lambda s, y, more: Threshold.from_fpr(s[~y], 0.1 + 0.8 * more),
    "max_alarms": lambda s, y, more: Threshold.from_max_alarms(s[~y], 10 + 80 * more, 100),
    "quantile": lambda s, y, more: Threshold.from_quantile(s[~y], 1 - 0.9 * more),
    "tail": lambda s, y, more: Threshold.from_tail(s[~y], 1e-4 + 0.08 * more),
    "fdr": lambda s, y, more: Threshold.from_fdr(s, 0.05 + 0.9 * more),
    "capacity": lambda s, y, more: Threshold.from_capacity(s, 1 + int(more * (s.size - 1))),
    "min_recall": lambda s, y, more: Threshold.from_labels(s, y, "min_recall", target=more),
    "min_precision": lambda s, y, more: Threshold.from_labels(
        s, y, "min_precision", target=0.02 + 0.1 * (1 - more)
    ),
    "cost": lambda s, y, more: Threshold.from_cost(s, y, cost_fp=1, cost_fn=1 + 50 * more),
}
each_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


def items(seed: int, decimals: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = np.arange(400) < 60
    return (draw.exponential(size=400) + labels).round(decimals), labels


@each_policy
@given(seed=st.integers(0, 500), decimals=st.sampled_from([1, 2, 12]), ask=st.floats(0.01, 0.99))
def test_no_policy_changes_the_ranking_or_splits_a_tie(policy, seed, decimals, ask):
    scores, labels = items(seed, decimals)
    flags = policy(scores, labels, ask).flag(scores)
    if flags.any() and not flags.all():
        assert scores[flags].min() > scores[~flags].max()


@each_policy
@given(seed=st.integers(0, 500), asks=st.tuples(*[st.floats(0.01, 0.99)] * 2))
def test_asking_for_more_flags_never_raises_the_threshold(policy, seed, asks):
    scores, labels = items(seed, 12)
    less, more = (policy(scores, labels, ask).value for ask in sorted(asks))
    assert more <= less + 1e-9


@each_policy
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_refused(policy, bad):
    scores, labels = items(0, 2)
    scores[-1] = bad
    with pytest.raises(CalibrationError, match="not finite"):
        policy(scores, labels, 0.5)


@each_policy
def test_equal_scores_are_refused(policy):
    with pytest.raises(CalibrationError, match="equal"):
        policy(np.ones(400), np.arange(400) < 60, 0.5)


@pytest.mark.parametrize("name", ["fpr", "max_alarms", "quantile", "tail", "cost", "min_recall"])
def test_one_normal_is_refused(name):
    with pytest.raises(CalibrationError, match="at least 2 normal"):
        POLICIES[name](np.arange(61.0), np.arange(61) < 60, 0.5)


def test_a_capacity_that_a_tie_does_not_fill_is_said():
    threshold = Threshold.from_capacity([0.0, 1.0, 1.0, 1.0, 2.0], 2)
    assert threshold.flag([1.0, 2.0]).tolist() == [False, True]
    assert "3 items share the score" in threshold.note


def test_groups_widen_the_interval_of_a_quantile():
    draw = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 30)
    scores = np.repeat(draw.normal(size=20), 30) + 0.1 * draw.normal(size=600)
    apart = Threshold.from_quantile(scores, 0.9).expected_fpr
    together = Threshold.from_quantile(scores, 0.9, groups=groups).expected_fpr
    assert together.high - together.low > apart.high - apart.low
