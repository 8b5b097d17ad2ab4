"""Figures of a ranking, held to scikit-learn and to counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from vae_anomaly import metrics
from vae_anomaly.errors import CalibrationError
from vae_anomaly.metrics import Interval, RankingCurve


@pytest.fixture
def two_gaussians(rng):
    """1,000 normals N(0, 1) and 100 anomalies N(2, 1), rounded so that some scores tie."""
    scores = np.round(np.concatenate([rng.normal(size=1000), rng.normal(2.0, size=100)]), 1)
    return np.repeat([0, 1], [1000, 100]), scores


def test_the_curve_has_scikit_learns_areas(two_gaussians):
    labels, scores = two_gaussians
    curve = RankingCurve.of(labels == 1, scores)
    assert curve.auroc() == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    expected = sk.average_precision_score(labels, scores)
    assert curve.average_precision() == pytest.approx(expected, abs=1e-12)


def test_a_weighted_curve_has_scikit_learns_weighted_areas(two_gaussians, rng):
    labels, scores = two_gaussians
    weights = rng.integers(0, 4, labels.size).astype(float)
    curve = RankingCurve.of(labels == 1, scores, weights)
    expected = sk.roc_auc_score(labels, scores, sample_weight=weights)
    assert curve.auroc() == pytest.approx(expected, abs=1e-12)


def test_each_point_of_the_curve_counts_the_items_above_its_value(two_gaussians):
    labels, scores = two_gaussians
    curve = RankingCurve.of(labels == 1, scores)
    for value, tp, fp in zip(curve.value, curve.tp, curve.fp, strict=True):
        flagged = scores > value
        assert (np.sum(flagged & (labels == 1)), np.sum(flagged & (labels == 0))) == (tp, fp)


def test_neighbouring_floats_are_still_told_apart():
    low = 1.0
    high = np.nextafter(low, 2.0)
    curve = RankingCurve.of(np.array([False, True]), np.array([low, high]))
    assert low <= curve.value[1] < high


def test_auroc_of_two_gaussians_is_the_closed_form():
    n = 4000
    grid = stats.norm.ppf((np.arange(n) + 0.5) / n)
    area = metrics.auroc(np.repeat([0, 1], n), np.concatenate([grid, grid + 1.5]))
    assert area == pytest.approx(stats.norm.cdf(1.5 / np.sqrt(2)), abs=1e-3)


def test_fpr_at_tpr_is_the_closed_form():
    n = 4000
    grid = stats.norm.ppf((np.arange(n) + 0.5) / n)
    labels, scores = np.repeat([0, 1], n), np.concatenate([grid, grid + 1.5])
    expected = stats.norm.sf(1.5 + stats.norm.ppf(0.05))
    assert metrics.fpr_at_tpr(labels, scores, 0.95) == pytest.approx(expected, abs=1e-3)


def test_partial_auroc_is_scikit_learns(two_gaussians):
    labels, scores = two_gaussians
    assert metrics.partial_auroc(labels, scores, 0.2) == pytest.approx(
        sk.roc_auc_score(labels, scores, max_fpr=0.2)
    )


@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=2, max_size=60))
def test_any_ranking_agrees_with_scikit_learn(items):
    labels = np.array([label for label, _ in items])
    scores = np.array([score for _, score in items], dtype=float)
    if labels.all() or not labels.any():
        with pytest.raises(CalibrationError, match="Labels without"):
            metrics.auroc(labels, scores)
        return
    curve = RankingCurve.of(labels, scores)
    assert curve.auroc() == pytest.approx(sk.roc_auc_score(labels, scores))
    assert curve.average_precision() == pytest.approx(sk.average_precision_score(labels, scores))


@pytest.mark.parametrize("max_fpr", [0.05, 0.1, 1.0])
def test_partial_auroc_of_the_curve_is_scikit_learns(two_gaussians, max_fpr):
    labels, scores = two_gaussians
    expected = sk.roc_auc_score(labels, scores, max_fpr=max_fpr)
    curve = RankingCurve.of(labels == 1, scores)
    assert curve.partial_auroc(max_fpr) == pytest.approx(expected, abs=1e-12)


def test_pixel_intervals_hold_the_exact_figures_and_narrow_with_more_images(rng):
    masks = np.zeros((60, 16, 16), bool)
    masks[::2, 4:8, 4:8] = True
    heat = rng.normal(size=masks.shape) + 1.5 * masks
    few, many = (metrics.pixel_figures(masks[:n], heat[:n]) for n in (6, 60))
    assert many["aupro"].estimate == metrics.aupro(list(masks), list(heat))
    assert many["pixel_auroc"].estimate == pytest.approx(
        sk.roc_auc_score(masks.ravel(), heat.ravel())
    )
    for name, figure in many.items():
        assert figure.low < figure.estimate < figure.high
        assert figure.high - figure.low < few[name].high - few[name].low


def test_images_of_one_part_are_resampled_together(rng):
    masks = np.zeros((20, 8, 8), bool)
    masks[:, 2:4, 2:4] = True
    heat = np.repeat(rng.normal(size=(4, 8, 8)), 5, axis=0) + masks  # 4 parts, seen 5 times
    alone, parts = (
        metrics.pixel_figures(masks, heat, groups=g)["aupro"]
        for g in (None, np.repeat(range(4), 5))
    )
    assert parts.high - parts.low > alone.high - alone.low


def test_aupro_is_one_when_the_map_is_the_mask():
    mask = np.zeros((20, 20))
    mask[3:6, 3:6] = 1
    mask[10:19, 10:19] = 1
    assert metrics.aupro([mask], [mask * 2.0]) == pytest.approx(1.0)


def test_aupro_weighs_a_small_and_a_large_defect_the_same():
    mask, heat = np.zeros((40, 40)), np.zeros((40, 40))
    mask[0:2, 0:2] = 1
    mask[10:30, 10:30] = 1
    heat[10:30, 10:30] = 1.0  # only the large one is seen
    found_one_of_two = 0.5 + 0.5 * 0.3 / 2  # then chance, up to an FPR of 0.3
    assert metrics.aupro([mask], [heat]) == pytest.approx(found_one_of_two, abs=1e-9)


def test_proportion_interval_is_clopper_pearson():
    found = metrics.proportion_interval(3, 20)
    exact = stats.binomtest(3, 20).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (0, 0)])
def test_proportion_interval_at_the_ends_stays_in_zero_to_one(k, n):
    found = metrics.proportion_interval(k, n)
    assert 0.0 <= found.low <= found.high <= 1.0


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says():
    truth, inside = stats.norm.cdf(1.0 / np.sqrt(2)), 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        scores = np.concatenate([draw.normal(size=60), draw.normal(1.0, size=40)])
        found = metrics.bootstrap_interval(
            RankingCurve.auroc, np.repeat([0, 1], [60, 40]), scores, n_resamples=150
        )
        inside += found.low <= truth <= found.high
    assert 52 <= inside <= 60  # 95 % of 60 is 57; binomial 99.9 % band


def test_bootstrap_by_group_is_wider_when_groups_agree_inside(rng):
    effect = np.repeat(rng.normal(size=20), 20)  # 20 groups of 20
    labels = np.tile(np.repeat([0, 1], 10), 20)
    scores = effect + 0.1 * rng.normal(size=400) + labels
    groups = np.repeat(np.arange(20), 20)
    apart = metrics.bootstrap_interval(RankingCurve.average_precision, labels, scores)
    together = metrics.bootstrap_interval(
        RankingCurve.average_precision, labels, scores, groups=groups
    )
    assert together.high - together.low > apart.high - apart.low


def test_bootstrap_is_repeatable(two_gaussians):
    labels, scores = two_gaussians
    first, second = (
        metrics.bootstrap_interval(RankingCurve.auroc, labels, scores, n_resamples=20)
        for _ in range(2)
    )
    assert first == second


def test_recall_by_kind_counts_flags_of_each_kind():
    table = metrics.recall_by_kind([0.0, 3.0, 3.0, 1.0], ["good", "crack", "hole", "hole"], 2.0)
    assert table[["kind", "n", "flagged"]].to_numpy().tolist() == [
        ["crack", 1, 1],
        ["good", 1, 0],
        ["hole", 2, 1],
    ]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_an_error_that_says_where(bad):
    with pytest.raises(CalibrationError, match="position 1"):
        metrics.auroc([0, 1], [0.0, bad])


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 2], "neither|must be 0"), ([0, 1, 1], "one label"), ([1, 1], "without normal items")],
    ids=["other value", "other length", "one class"],
)
def test_labels_that_cannot_be_used_are_named(labels, message):
    with pytest.raises(CalibrationError, match=message):
        metrics.auroc(labels, [0.0, 1.0])


def test_an_interval_reads_as_text_and_scales():
    assert str(Interval(0.5, 0.25, 0.75).scaled(4)) == "2 [1, 3]"


def test_the_bootstrap_estimate_is_scikit_learns_figure(two_gaussians):
    labels, scores = two_gaussians
    for metric, oracle in (
        (RankingCurve.auroc, sk.roc_auc_score),
        (RankingCurve.average_precision, sk.average_precision_score),
    ):
        found = metrics.bootstrap_interval(metric, labels, scores, n_resamples=2)
        assert found.estimate == pytest.approx(oracle(labels, scores), abs=1e-12)


@pytest.mark.parametrize("grouped", [False, True], ids=["items", "groups of one"])
def test_the_bootstrap_spread_is_that_of_resampling_items_one_by_one(two_gaussians, rng, grouped):
    labels, scores = two_gaussians
    direct = []
    for _ in range(150):
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(labels == k), n) for k, n in ((0, 1000), (1, 100))]
        )
        direct.append(RankingCurve.of(labels[rows] == 1, scores[rows]).auroc())
    groups = np.arange(labels.size) if grouped else None
    found = metrics.bootstrap_interval(RankingCurve.auroc, labels, scores, groups=groups)
    expected = np.subtract(*np.quantile(direct, [0.975, 0.025]))
    assert found.high - found.low == pytest.approx(expected, rel=0.2)


def test_groups_of_another_length_are_refused():
    with pytest.raises(CalibrationError, match="one group"):
        metrics.bootstrap_interval(RankingCurve.auroc, [0, 1], [0.0, 1.0], groups=[1])
