from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from vae_anomaly.errors import CalibrationError
from vae_anomaly.scoring.conformal import ConditionalScale, ConformalCalibration, ScoreTail

scores = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6, allow_subnormal=False)
)


def test_p_value_is_the_share_of_held_out_normals_at_least_as_strange():
    calibration = ConformalCalibration.fit([1.0, 2.0, 2.0, 5.0])
    assert calibration.p_value([0.0, 2.0, 3.0, 6.0]).tolist() == [1.0, 0.8, 0.4, 0.2]


@given(scores)
def test_p_values_of_exchangeable_normals_are_super_uniform(values):
    """Leave each normal out in turn: at most a share a of them has p <= a, for every a."""
    p = np.array(
        [
            ConformalCalibration.fit(np.delete(values, i)).p_value(values[i : i + 1])[0]
            for i in range(values.size)
            if values.size > 1
        ]
    )
    for level in (0.05, 0.1, 0.3, 0.5, 0.9):
        assert (p <= level).sum() <= level * values.size + 1e-9


@given(scores, scores)
def test_anomaly_score_never_claims_more_than_the_p_value_between_held_out_normals(held_out, new):
    calibration = ConformalCalibration.fit(held_out)
    inside = new <= held_out.max()
    gap = calibration.anomaly_score(new) + np.log10(calibration.p_value(new))
    assert (gap[inside] <= 1e-12).all()


@given(scores, hnp.arrays(np.float64, 20, elements=st.integers(-2000, 2000).map(float)))
def test_ranking_survives_calibration_without_new_ties(held_out, new):
    calibration = ConformalCalibration.fit(np.round(held_out / 1000.0))
    distinct = np.unique(new)
    assert (np.diff(calibration.anomaly_score(distinct)) > 0).all()


def test_anomaly_score_equals_minus_log10_p_at_every_held_out_normal(rng):
    held_out = rng.normal(size=500)
    calibration = ConformalCalibration.fit(held_out)
    expected = -np.log10(calibration.p_value(held_out))
    np.testing.assert_allclose(calibration.anomaly_score(held_out), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [0.0, 0.25, 0.5])
def test_tail_recovers_a_generalised_pareto_law(rng, shape):
    sample = stats.genpareto(shape, scale=2.0).rvs(200_000, random_state=rng)
    tail = ScoreTail.fit(sample)
    far = np.array([float(stats.genpareto(shape, scale=2.0).isf(1e-4))])
    assert tail.log10_survival(far)[0] == pytest.approx(np.log10(1e-4 / 0.1), abs=0.12)


def test_scores_beyond_the_last_normal_are_marked_as_extrapolated():
    calibration = ConformalCalibration.fit(np.arange(100.0))
    assert calibration.is_extrapolated([50.0, 500.0]).tolist() == [False, True]


def test_equal_held_out_scores_still_rank_what_lies_beyond():
    calibration = ConformalCalibration.fit(np.ones(30))
    below, at, above, far = calibration.anomaly_score([0.0, 1.0, 2.0, 3.0])
    assert below < at < above < far


@pytest.mark.parametrize("bad", [[], [1.0, np.nan], [np.inf]], ids=["empty", "nan", "inf"])
def test_unusable_held_out_scores_are_refused(bad):
    with pytest.raises(CalibrationError, match="held-out normals"):
        ConformalCalibration.fit(bad)


def test_a_score_that_is_not_finite_is_refused_and_never_normal():
    calibration = ConformalCalibration.fit([1.0, 2.0])
    with pytest.raises(CalibrationError, match="position 1"):
        calibration.anomaly_score([0.0, np.nan])


def test_p_values_keep_their_promise_within_each_condition_whatever_the_mix():
    rng = np.random.default_rng(0)
    width = np.array([1.0, 5.0, 0.2])
    codes = np.repeat([0, 1, 2], [1_000, 1_000, 20])  # the last has too few of its own
    held_out = width[codes] * rng.exponential(size=codes.size)
    scale = ConditionalScale(held_out, codes)
    calibration = ConformalCalibration.fit(scale(held_out, codes))
    for code in (0, 1):
        fresh = width[code] * rng.exponential(size=4_000)
        p = calibration.p_value(scale(fresh, np.full(4_000, code)))
        for level in (0.01, 0.05, 0.2):
            error = 3 * np.sqrt(level * (1 - level) * (1 / 1_000 + 1 / 4_000))
            assert abs((p <= level).mean() - level) <= error
    rare = scale(np.array([3.0]), np.array([2]))
    np.testing.assert_array_equal(rare, np.log(10) * scale.pooled.anomaly_score([3.0]))
