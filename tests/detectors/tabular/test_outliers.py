"""One absurd row among few normal ones owns neither the threshold nor the fit of a table."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from vae_anomaly import TabularVAEDetector, load_detector
from vae_anomaly.detectors.tabular.fit.fitting import plan_folds
from vae_anomaly.detectors.tabular.fit.training_rows import counted_rows


def normal_rows(n, seed=0):
    """Return rows of four numbers that go together in pairs."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 2))
    return pd.DataFrame(z[:, [0, 0, 1, 1]] + 0.1 * rng.normal(size=(n, 4)), columns=list("abcd"))


def with_absurd(rows, label=None):
    absurd = pd.DataFrame({"a": [0.0], "b": [1e9], "c": [0.0], "d": [-1e9]})
    return pd.concat([rows, absurd if label is None else absurd.set_index([[label]])])


def detector(**parameters):
    return TabularVAEDetector(preset="fast", max_steps=60, random_state=0, **parameters)


@pytest.mark.parametrize("n", [60, 150])
def test_one_absurd_row_is_left_out_and_named(n, caplog):
    rows = with_absurd(normal_rows(n), "A17")
    with caplog.at_level(logging.WARNING):
        fitted = detector().fit(rows)
    assert [item.id for item in fitted.left_out_] == ["row A17"]
    assert fitted.metrics_["left_out"] == fitted.metrics_["dropped_held_out"] == 1
    assert "row A17" in caplog.text
    assert f"1 of {n + 1} held-out items" in fitted.threshold_.note
    assert fitted.calibration_.n == n


def test_who_knows_better_keeps_it():
    fitted = detector(outliers="keep").fit(with_absurd(normal_rows(60)))
    assert fitted.left_out_ == ()
    assert fitted.calibration_.n == 61


def test_with_contamination_its_rule_alone_decides():
    fitted = detector(contamination=0.05).fit(with_absurd(normal_rows(60)))
    assert fitted.left_out_ == ()
    assert "left_out" not in fitted.metrics_


def test_where_nothing_stands_out_nothing_changes():
    rows, new = normal_rows(120), normal_rows(20, seed=1)
    scores = [detector(outliers=how).fit(rows).anomaly_score(new) for how in ("drop", "keep")]
    assert np.array_equal(*scores)


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_an_elbo_of_normal_rows_has_a_long_tail_of_its_own(seed):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"a": rng.standard_t(4, 300), "b": rng.standard_t(4, 300)})
    rows["c"] = rng.normal(size=300)
    assert detector(score="elbo").fit(rows).left_out_ == ()


def test_a_row_that_was_only_held_out_costs_no_second_fit():
    rows, rng, seen = normal_rows(2_000), np.random.default_rng(0), []
    fold = plan_folds(counted_rows(rows, None, None, rng), 0.0, rng)[0]
    place = int(fold.held_out[0])
    rows.iloc[place] = [0.0, 1e9, 0.0, -1e9]
    fitted = detector().fit(rows, progress=lambda stage, done, total: seen.append(stage))
    assert [item.id for item in fitted.left_out_] == [f"row {place}"]
    assert seen.count("memory") == 1


def test_it_is_saved_with_the_model(tmp_path):
    fitted = detector().fit(with_absurd(normal_rows(60)))
    assert load_detector(fitted.save(tmp_path / "m")).left_out_ == fitted.left_out_
