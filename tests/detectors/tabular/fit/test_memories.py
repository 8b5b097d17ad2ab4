"""The memory of a long table: a weighted summary of more rows than it holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from vae_anomaly import load_detector
from vae_anomaly.detectors.tabular.detector import TabularVAEDetector
from vae_anomaly.detectors.tabular.fit.folds import plan_rows
from vae_anomaly.detectors.tabular.fit.memories import max_memory_rows, plan_memory
from vae_anomaly.errors import ConfigError

QUICK = {"max_steps": 40, "hidden": 16, "random_state": 0}
N_RARE = 60
RARE = (12.0, -8.0, 9.0, 10.0)


def rows(n: int, seed: int = 0, rare: int = 0) -> np.ndarray:
    """Return correlated rows, the last of them of a rare kind that is normal."""
    rng = np.random.default_rng(seed)
    usual = rng.normal(size=(n, 1)) * [1.0, 2.0, -1.0, 0.5] + 0.1 * rng.normal(size=(n, 4))
    usual[n - rare :] = RARE + 0.1 * rng.normal(size=(rare, 4))
    return usual


@pytest.fixture(scope="module")
def detector() -> TabularVAEDetector:
    """Fit a small memory on a table that is longer than what trains the networks."""
    return TabularVAEDetector(**QUICK, memory=200).fit(rows(12_000, rare=N_RARE))


def test_a_rare_kind_of_normal_row_is_not_flagged(detector):
    rare = rows(200, seed=5, rare=200)
    # 200 rows drawn uniformly hold one of the kind, and flag all of it
    assert (detector.predict(rare) == 1).mean() > 0.6
    elsewhere = [-1.0, 1.0, 1.0, 1.0] * rare  # as remote, and new
    assert detector.anomaly_score(elsewhere).min() > 2.0 * detector.anomaly_score(rare).max()


def test_what_was_strange_stays_strange(detector):
    broken = rows(200, seed=6) * [1.0, -1.0, 1.0, 1.0] + [0.0, 6.0, 0.0, 0.0]
    assert (detector.predict(broken) == -1).mean() > 0.9


def test_p_values_of_new_normals_keep_their_promise(detector):
    p = detector.p_value(rows(4_000, seed=2))
    for level in (0.02, 0.05, 0.2):
        error = 3 * np.sqrt(level * (1 - level) * (1 / detector.calibration_.n + 1 / 4_000))
        assert abs((p <= level).mean() - level) <= error


def test_new_normals_surprise_no_term_more_than_they_should():
    def shops(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        shop = np.minimum(rng.zipf(1.3, n), 400)  # many values, few rows of most
        return pd.DataFrame(rows(n, seed), columns=list("abcd")).assign(
            shop=[f"s{number}" for number in shop], chip=rng.random(n) < 0.9
        )

    fit = TabularVAEDetector(**QUICK, memory=1_000).fit(shops(6_000, 1))
    assert fit.model_.main.data.weights is not None
    surprise = fit.evidence(shops(2_000, 2)).filter(like="_surprise")
    # -log p of an exponential law: ln 2 = 0.69 in the middle, 1 in the mean
    assert surprise.median().between(0.5, 0.9).all(), surprise.median()
    assert surprise.mean().between(0.8, 1.3).all(), surprise.mean()


def test_every_row_that_may_be_remembered_is_counted_once(detector):
    for memory in (detector.model_.main.data, detector.model_.main.latents):
        # less a tenth that calibrates, less a tenth of the others that tells what is usual
        assert memory.weights.sum() == 12_000 - 1_200 - 1_080
    assert len(detector.model_.main.data.vectors) == 200


@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_held_out_rows_are_neither_in_the_memory_nor_behind_a_weight(grouped, rng):
    groups = rng.integers(0, 900, 30_000) if grouped else None
    (fold,) = plan_rows(30_000, groups, 10_000, rng, max_memory_rows=25_000)
    unseen = rng.random(30_000) < 0.01
    unseen[fold.fit] = False
    plan = plan_memory(fold, groups, 8_960, unseen, checked=True, seed=0)
    assert plan.is_summary
    assert len(plan.known) > 15_000
    named = np.arange(30_000) if groups is None else groups
    for one, other in (
        (plan.known, fold.held_out), (plan.fresh, fold.held_out), (plan.known, plan.fresh),
    ):  # fmt: skip
        assert not set(named[one]) & set(named[other])
    assert not unseen[plan.known].any()  # a category that is new must stay so


def test_up_to_ten_thousand_rows_are_drawn_uniformly_and_so_are_contaminated_ones(rng):
    (fold,) = plan_rows(10_000, None, 10_000, rng, max_memory_rows=max_memory_rows(4))
    seen = np.zeros(10_000, dtype=bool)
    short = plan_memory(fold, None, 8_960, seen, checked=True, seed=0)
    unchecked = plan_memory(fold, None, 500, seen, checked=False, seed=0)
    for plan in (short, unchecked):
        assert not plan.is_summary
        np.testing.assert_array_equal(plan.known, fold.fit)


def test_wide_tables_hold_fewer_rows():
    assert max_memory_rows(10) == 60_000
    assert max_memory_rows(1_000) == 3_000


def test_the_same_seed_gives_the_same_scores_and_saving_keeps_them(detector, tmp_path):
    again = clone(detector).fit(rows(12_000, rare=N_RARE))
    detector.save(tmp_path / "model")
    loaded = load_detector(tmp_path / "model")
    some = np.vstack([rows(200, seed=3), 3.0 * rows(200, seed=4)])
    expected = detector.anomaly_score(some)
    np.testing.assert_array_equal(again.anomaly_score(some), expected)
    np.testing.assert_array_equal(loaded.anomaly_score(some), expected)
    assert loaded.get_params()["memory"] == 200


def test_reasons_and_samples_come_from_the_summary_as_well(detector):
    strange = np.array([[1.0, -2.0, -1.0, 0.5]])
    score = detector.assess(strange)["raw_score"]
    np.testing.assert_allclose(detector.explain(strange).sum(axis=1), score)
    assert detector.reasons(strange)[0]
    drawn = detector.sample(500, random_state=0).to_numpy()
    assert np.abs(drawn.mean(axis=0)).max() < 0.5  # rare rows do not outweigh the others


def test_copies_of_a_row_do_not_vouch_for_each_other():
    table = rows(6_000)
    weight = np.where(np.arange(6_000) < 1_000, 2, 1)
    fit = TabularVAEDetector(**QUICK, memory=500).fit(table, sample_weight=weight)
    assert fit.model_.main.data.weights is not None
    p = fit.p_value(rows(3_000, seed=7))
    assert 0.02 < (p <= 0.05).mean() < 0.09


@pytest.mark.parametrize("memory", [0, 99, 500.5])
def test_a_memory_that_cannot_be_used_is_refused(memory):
    with pytest.raises(ConfigError, match=r"'memory' parameter .* an int >= 100"):
        TabularVAEDetector(memory=memory).fit(rows(200))
