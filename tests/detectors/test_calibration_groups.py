"""A table fitted with groups keeps them with its held-out normals, and thresholds respect them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly import TabularVAEDetector, load_detector
from vae_anomaly.errors import CalibrationError
from vae_anomaly.evaluation import held_out_normals, tune


@pytest.fixture(scope="module")
def fitted() -> TabularVAEDetector:
    draw = np.random.default_rng(0)
    customer = np.repeat(np.arange(30), 6)
    rows = pd.DataFrame(draw.normal(size=(180, 3)) + draw.normal(size=(30, 3))[customer])
    rows.columns = ["a", "b", "c"]
    rows["customer"] = customer
    return TabularVAEDetector(max_steps=5, random_state=0).fit(rows, groups="customer")


def test_held_out_normals_come_with_their_groups_also_after_reload(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    for detector in (fitted, load_detector(tmp_path / "model")):
        items = held_out_normals(detector)
        assert np.unique(items.groups, return_counts=True)[1].tolist() == [6] * 30
        assert "180 normals in 30 groups" in items.source


def test_each_held_out_score_keeps_its_own_group(fitted):
    again = TabularVAEDetector(max_steps=5, random_state=0)
    groups = np.repeat(np.arange(30), 6)
    rows = np.random.default_rng(0).normal(size=(180, 3)) + 100 * (groups[:, None] == 7)
    again.fit(rows, groups=[f"{group:02}" for group in groups])
    assert (again.calibration_groups_[-6:] == 7).all()  # the strange group has the largest scores


def test_a_threshold_of_held_out_normals_promises_for_a_new_group(fitted):
    tuned = tune(held_out_normals(fitted), {"target_fpr": 0.05})
    assert tuned.threshold.parameters["groups"] == 30
    with pytest.raises(CalibrationError, match="99 normal groups; got 30"):
        tune(held_out_normals(fitted), {"target_fpr": 0.01})


def test_too_few_groups_for_the_default_rate_are_said_with_the_model(fitted):
    assert fitted.threshold_.parameters["fpr"] == 0.01
    assert "30 groups of held-out normals promise 0.032 at best" in fitted.threshold_.note
    assert fitted.threshold_.expected_fpr.high > 0.05


def test_without_groups_nothing_is_kept():
    detector = TabularVAEDetector(max_steps=5, random_state=0)
    detector.fit(np.random.default_rng(0).normal(size=(60, 2)), sample_weight=np.full(60, 2))
    assert held_out_normals(detector).groups is None
