"""`TabularVAEDetector` on small tables: promises to the user, not figures of merit."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from vae_anomaly import Threshold, load_detector
from vae_anomaly.detectors.parameters import SCORES
from vae_anomaly.detectors.tabular.detector import TabularVAEDetector
from vae_anomaly.detectors.tabular.fit.folds import plan_rows
from vae_anomaly.detectors.tabular.fit.training_rows import weighted_rows
from vae_anomaly.errors import ConfigError, DataError, NotEnoughDataError, SchemaError

QUICK = {"max_steps": 40, "hidden": 16, "random_state": 0}


def payments(n: int, seed: int = 0) -> pd.DataFrame:
    """Return payments whose amount depends on the shop's trade."""
    rng = np.random.default_rng(seed)
    trade = rng.choice(["grocery", "fuel", "travel"], n, p=[0.6, 0.3, 0.1])
    usual = pd.Series(trade).map({"grocery": 50.0, "fuel": 70.0, "travel": 900.0}).to_numpy()
    hour = np.clip(rng.normal(14, 3, n), 0, 23.9)
    day = pd.Timestamp("2026-01-05") + pd.to_timedelta(rng.integers(0, 28, n), unit="D")
    frame = pd.DataFrame(
        {
            "amount": usual * np.exp(0.3 * rng.normal(size=n)),
            "trade": trade,
            "items": rng.poisson(4, n).astype(float),
            "paid_at": day + pd.to_timedelta(hour, unit="h"),
            "chip": rng.random(n) < 0.9,
        }
    )
    frame.loc[rng.random(n) < 0.05, "items"] = np.nan
    return frame


@pytest.fixture(scope="module")
def detector() -> TabularVAEDetector:
    return TabularVAEDetector(**QUICK).fit(payments(2_000))


@pytest.fixture
def strange() -> pd.DataFrame:
    rows = payments(8, seed=9)
    rows.loc[0, "amount"] = 40_000.0
    rows.loc[1, "trade"] = "casino"
    rows.loc[2, "paid_at"] = pd.Timestamp("2026-02-03 03:12")
    rows.loc[3, "amount"] = np.nan
    return rows


@pytest.fixture(scope="module")
def numbers() -> TabularVAEDetector:
    return TabularVAEDetector(hidden=32, random_state=0).fit(correlated(2_000))


def correlated(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) * [1.0, 2.0, -1.0, 0.5] + 0.1 * rng.normal(size=(n, 4))


def test_planted_anomalies_are_flagged_and_normal_rows_are_not(detector, strange):
    verdicts = detector.assess(strange)
    assert verdicts["is_anomaly"][:2].all()
    assert detector.predict(payments(400, seed=5)).mean() > 0.9


def test_a_broken_correlation_is_seen_where_every_cell_is_usual(numbers):
    usual, broken = [0.5, 1.0, -0.5, 0.25], [0.5, -1.0, -0.5, 0.25]
    low, high = numbers.anomaly_score([usual, broken])
    assert high > low + 1.0


def test_the_networks_are_a_genuine_vae(numbers):
    records = numbers.history_.to_frame()
    assert records["beta"].iloc[-1] == 2.0
    assert records["val_kl"].iloc[-1] > 0.5
    assert records["val_nll"].iloc[-1] < records["val_nll"].iloc[0] or len(records) == 1
    assert numbers.history_.best_step > 0
    sigma = numbers.model_.main.network.likelihood.log_sigma
    assert float(sigma.detach().max()) < -0.05  # learned away from its start at 0


def test_signs_and_the_threshold_agree(numbers):
    rows = correlated(300, seed=3)
    score = numbers.anomaly_score(rows)
    np.testing.assert_array_equal(numbers.score_samples(rows), -score)
    np.testing.assert_array_equal(numbers.predict(rows) == -1, score > numbers.threshold_.value)
    inside = score < np.log10(numbers.calibration_.n)
    assert (score[inside] <= -np.log10(numbers.p_value(rows)[inside]) + 1e-12).all()


@pytest.mark.parametrize("n_rows", [150, 2_000], ids=["cross-fitted", "split"])
def test_p_values_of_new_normals_keep_their_promise(n_rows):
    fit = TabularVAEDetector(**QUICK).fit(correlated(n_rows, seed=1))
    p = fit.p_value(correlated(4_000, seed=2))
    for level in (0.02, 0.05, 0.2):
        # calibration rows vary as well: three standard errors of both samples
        error = 3 * np.sqrt(level * (1 - level) * (1 / fit.calibration_.n + 1 / 4_000))
        assert (p <= level).mean() <= level + error


def test_new_normals_surprise_no_term_more_than_training_rows_do():
    """A term that finds every new row strange adds noise to the score, and no more.

    Training rows once left themselves out of a category's count, so that new rows lay between
    their values: the demo's AUROC fell from 0.93 to 0.53.
    """

    def rows(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        merchants = np.minimum(rng.zipf(1.3, n), 400)  # high cardinality, few of each
        return payments(n, seed).assign(merchant=[f"m{number}" for number in merchants])

    detector = TabularVAEDetector(**QUICK).fit(rows(3_000, 1))
    surprise = detector.evidence(rows(2_000, 2)).filter(like="_surprise")
    assert surprise.shape[1] >= 6
    # -log p of an exponential law: ln 2 = 0.69 in the middle
    assert surprise.median().between(0.4, 1.1).all(), surprise.median()


def test_every_row_is_held_out_once_where_rows_are_scarce_and_a_tenth_where_not(rng):
    scarce = plan_rows(100, None, 10_000, rng)
    held = np.concatenate([fold.held_out for fold in scarce])
    assert sorted(held) == list(range(100))
    assert len(scarce[0].held_out) == 0
    (plenty,) = plan_rows(10_000, None, 10_000, rng)
    assert len(plenty.held_out) == 1_000
    for fold in [*scarce, plenty]:
        assert not set(fold.fit) & set(fold.held_out)
        assert set(fold.validation) < set(fold.fit)
        assert not set(fold.train) & set(fold.validation)


@pytest.mark.parametrize("n_rows", [200, 3_000])
def test_groups_are_never_split(n_rows, rng):
    groups = rng.integers(0, 30, n_rows)
    for fold in plan_rows(n_rows, groups, 10_000, rng):
        assert not set(groups[fold.fit]) & set(groups[fold.held_out])
        assert not set(groups[fold.train]) & set(groups[fold.validation])


def test_groups_can_be_a_column_which_is_then_no_feature():
    frame = pd.DataFrame(correlated(120), columns=list("abcd")).assign(
        machine=np.repeat(np.arange(12), 10)
    )
    fit = TabularVAEDetector(**QUICK).fit(frame, groups="machine")
    assert "machine" not in fit.explain(frame.iloc[:2]).columns


def test_a_row_scores_the_same_alone_in_any_batch_and_in_any_order(detector):
    rows = payments(300, seed=4)
    together = detector.assess(rows)["raw_score"].to_numpy()
    alone = np.concatenate([detector.assess(rows.iloc[[i]])["raw_score"] for i in range(12)])
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_allclose(alone, together[:12], rtol=1e-6)
    shuffled = detector.assess(rows.iloc[order])["raw_score"].to_numpy()
    np.testing.assert_allclose(shuffled, together[order], rtol=1e-6)


def test_saved_and_loaded_it_scores_the_same(detector, strange, tmp_path):
    again = load_detector(detector.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(again.assess(strange), detector.assess(strange))
    pd.testing.assert_frame_equal(again.evidence(strange), detector.evidence(strange))
    assert again.reasons(strange) == detector.reasons(strange)
    assert again.threshold_ == detector.threshold_
    assert again.get_params() == detector.get_params()


def test_the_same_seed_gives_the_same_detector():
    rows = correlated(100)
    first, second = (TabularVAEDetector(**QUICK).fit(rows).anomaly_score(rows) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_arrow_pandas_and_numpy_score_alike(numbers, strange, detector):
    rows = correlated(20, seed=8)
    frame = pd.DataFrame(rows, columns=["x0", "x1", "x2", "x3"])
    expected = numbers.anomaly_score(rows)
    np.testing.assert_array_equal(numbers.anomaly_score(frame), expected)
    np.testing.assert_array_equal(numbers.anomaly_score(pa.Table.from_pandas(frame)), expected)
    arrow = pa.Table.from_pandas(strange, preserve_index=False)
    np.testing.assert_array_equal(detector.anomaly_score(arrow), detector.anomaly_score(strange))


@pytest.mark.parametrize("score", ["reconstruction", "elbo", "iw_nll", "kl", "latent"])
def test_single_evidences_can_be_the_score(score):
    rows = correlated(60)
    fit = TabularVAEDetector(score=score, **{**QUICK, "max_steps": 5}).fit(rows)
    assert fit.calibration_.n == 60
    assert fit.anomaly_score([[50.0, -100.0, 0.0, 50.0]])[0] > fit.threshold_.value


@pytest.mark.parametrize("score", SCORES)
def test_contributions_sum_to_the_score_that_they_explain(detector, score, strange):
    other = copy.copy(detector)
    other.model_ = replace(detector.model_, score=score)
    raw = other.assess(strange)["raw_score"]
    np.testing.assert_allclose(other.explain(strange).to_numpy().sum(axis=1), raw, rtol=1e-9)


def test_the_column_that_was_changed_contributes_most(detector, strange):
    assert detector.explain(strange).iloc[:3].idxmax(axis=1).tolist() == [
        "amount",
        "trade",
        "paid_at",
    ]


def test_reasons_name_values_beyond_training_unseen_categories_hours_and_gaps(detector, strange):
    reasons = detector.reasons(strange)
    highest = "amount 40,000, higher than any of 1,500 training rows; the highest was "
    assert reasons[0][0].startswith(highest)
    assert reasons[1][0] == "trade 'casino', never seen in training"
    assert reasons[2][0] == "paid_at Tuesday, 03:12, no training row falls in that hour"
    assert reasons[3] == ["amount is empty, which it never was in training"]
    assert all(len(row) <= 1 for row in detector.reasons(strange, top=1))
    assert detector.missing_cells(strange)[3] >= 1


def test_a_row_of_which_nothing_is_strange_has_no_reason_and_a_flagged_one_has(detector):
    rows = payments(300, seed=3)
    reasons = detector.reasons(rows)
    flagged = detector.assess(rows)["is_anomaly"].to_numpy()
    assert all(texts for texts, is_flagged in zip(reasons, flagged, strict=True) if is_flagged)
    assert sum(not texts for texts in reasons) > 200


def test_no_column_is_a_reason_for_being_one_of_many_categories(detector):
    rng = np.random.default_rng(0)
    state = [f"S{i}" for i in rng.integers(0, 50, 1_500)]
    frame = pd.DataFrame({"state": state, "amount": rng.normal(50.0, 9.0, 1_500)})
    fit = TabularVAEDetector(preset="fast", **QUICK).fit(frame)
    reasons = fit.reasons(frame.head(200).assign(amount=900.0))
    assert all(texts[0].startswith("amount 900, higher than any") for texts in reasons)
    assert not any("state" in text for texts in reasons for text in texts)


def test_a_usual_value_in_unusual_company_is_compared_with_that_company(numbers):
    (reasons,) = numbers.reasons([[0.5, -1.0, -0.5, 0.25]])
    assert reasons[0].startswith("x1 -1, usual with x")


def test_latents_fit_into_a_pipeline(numbers):
    assert numbers.transform(correlated(5)).shape == (5, 4)
    steps = make_pipeline(StandardScaler(), TabularVAEDetector(**QUICK))
    assert steps.fit(correlated(60)).predict(correlated(5)).shape == (5,)
    named = clone(numbers).set_output(transform="pandas").fit(correlated(60))
    assert list(named.transform(correlated(3)).columns) == [f"latent{i}" for i in range(4)]


def test_a_constant_column_is_learned_and_a_change_in_it_seen():
    rows = np.column_stack([correlated(300), np.full(300, 7.0)])
    fit = TabularVAEDetector(**QUICK).fit(rows)
    changed = rows[:1].copy()
    changed[0, 4] = 8.0
    assert fit.p_value(changed)[0] < 0.02
    assert fit.reasons(changed)[0][0] == "x4 8, always 7 in training"


def test_another_threshold_changes_the_flags_and_not_the_scores(numbers, tmp_path):
    fit = load_detector(numbers.save(tmp_path / "model"))
    rows = correlated(200, seed=7)
    before = fit.anomaly_score(rows)
    fit.set_threshold(Threshold.from_fpr(fit.calibration_.reference_scores(), 0.3))
    np.testing.assert_array_equal(fit.anomaly_score(rows), before)
    assert (fit.predict(rows) == -1).mean() > 0.15


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_cells_are_refused_with_column_and_row(detector, value):
    rows = payments(5)
    rows.loc[3, "amount"] = value
    for call in (detector.anomaly_score, TabularVAEDetector(**QUICK).fit):
        with pytest.raises(DataError, match=r"row 4: column 'amount'") as caught:
            call(pd.concat([rows, payments(20)]) if call != detector.anomaly_score else rows)
        assert caught.value.exit_code == 3


def test_three_rows_are_too_few():
    with pytest.raises(NotEnoughDataError, match="at least 10 normal rows; got n_samples=3"):
        TabularVAEDetector().fit(correlated(3))


def test_other_columns_are_refused_by_name(detector):
    with pytest.raises(SchemaError, match="'amount' is missing"):
        detector.anomaly_score(payments(3).rename(columns={"amount": "amounts"}))


def test_another_number_of_columns_is_refused(numbers):
    with pytest.raises(SchemaError, match="expecting 4 features"):
        numbers.anomaly_score(correlated(3)[:, :2])


def test_all_wrong_parameters_are_named_at_once():
    with pytest.raises(ConfigError, match=r"'score'.*'beta'.*without KL it is no VAE"):
        TabularVAEDetector(score="best", beta=0.0).fit(correlated(20))


def test_an_empty_table_scores_to_nothing(detector):
    nothing = payments(5).iloc[:0]
    assert detector.anomaly_score(nothing).shape == (0,)
    assert detector.reasons(nothing) == []


def test_presets_look_at_one_or_two_views():
    fast = TabularVAEDetector(preset="fast", **QUICK).fit(correlated(60))
    assert [v.view.name for v in fast.model_.views] == ["arg"]


def test_rows_of_weight_zero_leave_no_trace():
    rows, other = correlated(60), correlated(30, seed=7) * 50
    weights = np.repeat([1.0, 0.0], [60, 30])
    weighted = TabularVAEDetector(**QUICK).fit(np.vstack([rows, other]), sample_weight=weights)
    without = TabularVAEDetector(**QUICK).fit(rows)
    assert weighted.anomaly_score(other).tolist() == without.anomaly_score(other).tolist()
    assert weighted.fingerprint_ == without.fingerprint_


def test_a_row_of_weight_two_is_a_row_that_is_there_twice():
    rows = correlated(60)
    twice = np.repeat(np.arange(60), 2)
    weighted = TabularVAEDetector(**QUICK).fit(rows, sample_weight=np.full(60, 2))
    repeated = TabularVAEDetector(**QUICK).fit(rows[twice], groups=twice)
    assert weighted.anomaly_score(rows).tolist() == repeated.anomaly_score(rows).tolist()
    assert weighted.metrics_["rows"] == 120.0


def test_the_share_of_rows_follows_their_weights():
    weights = np.repeat([0.25, 1.5], 2000)
    kept = weighted_rows(weights, 4000, np.random.default_rng(0))
    assert np.sum(kept < 2000) == pytest.approx(500, abs=60)
    assert np.sum(kept >= 2000) == pytest.approx(3000, abs=70)


def test_weights_of_one_change_nothing():
    rows = correlated(60)
    weighted = TabularVAEDetector(**QUICK).fit(rows, sample_weight=np.ones(60))
    assert (
        weighted.anomaly_score(rows).tolist()
        == TabularVAEDetector(**QUICK).fit(rows).anomaly_score(rows).tolist()
    )


@pytest.mark.parametrize(
    "weights",
    [np.ones(59), -np.ones(60), np.zeros(60), np.full(60, np.nan), np.full(60, 1e9)],
    ids=["too few", "negative", "all zero", "missing", "a trillion rows"],
)
def test_weights_that_cannot_be_used_are_refused(weights):
    with pytest.raises(ConfigError, match="sample_weight"):
        TabularVAEDetector(**QUICK).fit(correlated(60), sample_weight=weights)


class Interchanged:
    """A table of another library that offers the Arrow C stream, as polars does."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._table = pa.Table.from_pandas(frame, preserve_index=False)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Converted:
    """A table that offers `to_arrow` only."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._table = pa.Table.from_pandas(frame, preserve_index=False)

    def to_arrow(self) -> pa.Table:
        return self._table


@pytest.mark.parametrize(
    "as_other",
    [
        Interchanged,
        Converted,
        pa.Table.from_pandas,
        lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    ],
    ids=["Arrow C stream", "to_arrow", "Arrow table", "pandas on Arrow"],
)
def test_tables_of_other_libraries_score_as_pandas_does(detector, as_other):
    rows = payments(30, seed=3)
    assert detector.anomaly_score(as_other(rows)).tolist() == detector.anomaly_score(rows).tolist()


def test_a_detector_fits_an_arrow_stream_with_its_names():
    detector = TabularVAEDetector(**QUICK).fit(Interchanged(payments(60)))
    assert detector.feature_names_in_.tolist() == list(payments(1).columns)


def test_transform_gives_a_frame_where_pandas_output_is_set(detector):
    rows = payments(12, seed=4).set_index(pd.Index(range(100, 112)))
    shown = copy.copy(detector).set_output(transform="pandas").transform(rows)
    assert shown.columns.tolist() == detector.get_feature_names_out().tolist()
    assert shown.index.tolist() == rows.index.tolist()
    np.testing.assert_array_equal(shown.to_numpy(), detector.transform(rows))


def test_fit_predict_is_predict_after_fit_and_decisions_are_scores_above_the_offset():
    rows = np.asarray(correlated(300))
    rows[0] = 50.0
    fit = TabularVAEDetector(**QUICK).fit(rows)
    flags = TabularVAEDetector(**QUICK).fit_predict(rows)
    np.testing.assert_array_equal(flags, fit.predict(rows))
    assert flags.dtype.kind == "i"
    assert np.unique(flags).tolist() == [-1, 1]
    decision = fit.decision_function(rows)
    np.testing.assert_array_equal(decision, fit.score_samples(rows) - fit.offset_)
    np.testing.assert_array_equal(decision < 0, flags == -1)


def _expected_failures(estimator):
    named_score = "the parameter `score` hides scikit-learn's optional method of that name"
    flags_its_share = "`contamination` trims the training rows; `target_fpr` sets the threshold"
    return {
        "check_outliers_fit_predict": flags_its_share,
        "check_outliers_train": flags_its_share,
        "check_outliers_train(readonly_memmap=True)": flags_its_share,
        "check_fit_score_takes_y": named_score,
        "check_n_features_in_after_fitting": named_score,
        "check_array_api_input": "frames, not array-API namespaces, are what is read",
        "check_pipeline_consistency": named_score,
        "check_sample_weight_equivalence_on_dense_data": (
            "copies of a row are held out together, separate rows are not: equal in distribution"
        ),
    }


@parametrize_with_checks(
    [TabularVAEDetector(max_steps=3, hidden=4, preset="fast", random_state=0)],
    expected_failed_checks=_expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    state = np.random.get_state()  # noqa: NPY002 - some checks draw from the global state
    check(estimator)
    np.random.set_state(state)  # noqa: NPY002  # the global state is what is tested
