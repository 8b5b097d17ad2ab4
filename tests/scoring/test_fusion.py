from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vae_anomaly.errors import CalibrationError
from vae_anomaly.scoring.fusion import TermSurprise, fuse, term_contributions

FINITE = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6))


def test_surprise_is_minus_log_p_of_the_training_values(rng):
    values = np.sort(rng.exponential(size=999))
    surprise = TermSurprise.fit(values)
    p = (999 - np.arange(899) + 1.0) / 1000.0
    np.testing.assert_allclose(surprise(values[:899]), -np.log(p), atol=2e-3)


def test_an_exponential_tail_is_continued_as_such(rng):
    surprise = TermSurprise.fit(rng.exponential(size=20_000))
    assert surprise([8.0])[0] == pytest.approx(8.0, rel=0.08)


@given(hnp.arrays(np.float64, st.integers(1, 50), elements=FINITE), FINITE, FINITE)
def test_surprise_is_positive_and_never_falls(values, low, high):
    surprise = TermSurprise.fit(values)
    first, second = surprise(sorted([low, high]))
    assert 0.0 <= first <= second
    assert np.isfinite(second)


def test_surprise_has_no_ties_outside_the_training_range(rng):
    surprise = TermSurprise.fit(rng.normal(size=200))
    below, beyond = surprise(np.linspace(-9, -4, 50)), surprise(np.linspace(4, 400, 50))
    assert (np.diff(below) > 0).all()
    assert (np.diff(beyond) > 0).all()


@pytest.mark.parametrize("values", [[], [1.0, np.nan]], ids=["none", "nan"])
def test_values_that_calibrate_nothing_are_refused(values):
    with pytest.raises(CalibrationError):
        TermSurprise.fit(values)


@pytest.mark.parametrize("power", [1.0, 2.0], ids=["sum", "squares, as earlier models had"])
def test_contributions_of_terms_sum_to_the_fused_score(rng, power):
    terms = {"a": rng.exponential(size=30), "b": rng.exponential(size=30), "c": np.zeros(30)}
    weights = {"a": 1.0, "b": 0.5, "c": 1.0}
    total = sum(term_contributions(terms, weights, power).values())
    np.testing.assert_allclose(total, fuse(terms, weights, power))


def test_nothing_strange_scores_zero_and_divides_by_nothing():
    terms = {"a": np.zeros(2)}
    assert fuse(terms, {"a": 1.0}).tolist() == [0.0, 0.0]
    assert term_contributions(terms, {"a": 1.0})["a"].tolist() == [0.0, 0.0]


def test_surprise_survives_its_state(rng):
    surprise = TermSurprise.fit(rng.normal(size=100))
    points = rng.normal(size=20) * 3
    np.testing.assert_array_equal(
        TermSurprise.from_state(surprise.state())(points), surprise(points)
    )
