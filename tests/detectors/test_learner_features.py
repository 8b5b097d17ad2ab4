"""What a learner of verdicts is given, of every kind of detector: models that were saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.answers import folders, manifest_of, read_back, read_input

from vae_anomaly import TabularVAEDetector
from vae_anomaly.detectors.learner_features import learner_features, ridge_for
from vae_anomaly.verdicts.learner import VerdictLearner
from vae_anomaly.verdicts.ledger import ItemVerdict, NightItems

FOLDER = folders()[-1]
CASES = {case["name"]: case for case in manifest_of(FOLDER)["cases"]}


def examined(name: str) -> Any:
    case = CASES[name]
    detector, given = read_back(FOLDER, case), read_input(FOLDER, case["input"])
    if getattr(detector, "entities_", None) is not None:
        given = detector.entities_.copy().extend(given)
    return detector.examine(given)


@pytest.mark.parametrize("name", list(CASES))
def test_every_kind_of_detector_gives_its_raw_score_and_named_evidence(name):
    examination = examined(name)
    names, features = learner_features(examination)
    assert names[0] == "raw_score"
    np.testing.assert_array_equal(features[:, 0], examination.raw_score)
    ids = [str(i) for i in range(len(features))]
    assert NightItems(1, ids, features, names).features.dtype == np.float64
    assert len(set(names)) == len(names) > 5
    assert ridge_for(names) == (3.0 if name.startswith("table") else 50.0)


@pytest.mark.parametrize("name", list(CASES))
def test_some_items_have_the_features_that_they_have_among_all(name):
    examination = examined(name)
    names, features = learner_features(examination)
    few = np.array([2, 0])
    again, some = learner_features(examination.take(few))
    assert again == names
    np.testing.assert_array_equal(some, features[few])
    assert learner_features(examination.take(few[:0]))[1].shape == (0, len(names))


def orders(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    country = rng.choice(["DE", "FR", "other"], n)
    return pd.DataFrame({"amount": rng.gamma(4.0, 10.0, n), "country": country})


@pytest.fixture(scope="module")
def detector() -> TabularVAEDetector:
    return TabularVAEDetector(max_steps=20, hidden=16, random_state=0).fit(orders(200, 0))


def test_columns_are_called_as_the_table_calls_them(detector):
    names, features = learner_features(detector.examine(orders(20, 1)))
    assert {"amount", "country=DE", "country=FR", "country (surprisal)"} <= set(names)
    assert features[:, names.index("amount")] == pytest.approx(orders(20, 1)["amount"])


def test_a_column_called_like_the_score_keeps_the_score_in_front():
    rows = orders(200, 0).rename(columns={"amount": "raw_score"})
    detector = TabularVAEDetector(max_steps=5, hidden=16, random_state=0).fit(rows)
    names, _ = learner_features(detector.examine(rows.iloc[:3]))
    assert (names.index("raw_score"), names.count("raw_score (2)")) == (0, 1)


def test_a_long_table_has_the_same_features_block_by_block(detector, monkeypatch):
    rows = orders(100, 2)
    names, whole = learner_features(detector.examine(rows))
    monkeypatch.setattr("vae_anomaly.detectors.tabular.examination.BLOCK", 32)
    again, blocks = learner_features(detector.examine(rows))
    assert again == names
    np.testing.assert_array_equal(blocks, whole)


def test_a_camera_whose_image_was_confirmed_makes_its_other_images_suspect():
    names, features = learner_features(examined("bank_fast"))
    folders = ["north" if i % 2 else "south" for i in range(len(features))]
    nights = [
        NightItems(
            n, [f"{n}-{i}" for i in range(len(features))], features, names, {"line": folders}
        )
        for n in (1, 2)
    ]
    learner = VerdictLearner(entities=["line"])
    learner.keep(learner.rank(nights[0]), [1])
    learner.update([ItemVerdict("1-1", True, arrived=2)])
    lift = learner.rank(nights[1]).judged.lifts["line"]
    assert [value > 0 for value in lift] == [name == "north" for name in folders]
