"""What the learner does not learn: from luck, and from what tells nights apart and not items."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.verdicts.entities import ColumnRisks, EntityRates
from vae_anomaly.verdicts.head import ScoreHead
from vae_anomaly.verdicts.learner import VerdictLearner
from vae_anomaly.verdicts.ledger import ItemVerdict, NightItems


def test_a_lucky_hit_does_not_speak_for_a_column_where_such_anomalies_are_everywhere():
    column = ColumnRisks(EntityRates())
    for i in range(300):
        column.learn(f"1/{i}", f"t{i}", 1, 0.0005, (0.0005, 0.0005), confirmed=i % 100 == 0)
    column.settle()
    for i in range(41):  # of values that were confirmed before, all but one fine
        column.learn(f"2/{i}", f"t{i % 3}00", 2, 0.0005, (0.05, 0.0005), confirmed=i == 0)
    column.settle()
    assert column.gain < 0.0


def test_in_a_first_night_full_of_anomalies_no_camera_is_to_blame():
    column = ColumnRisks(EntityRates())
    for i in range(40):  # three of five are anomalies at both cameras; the evidence expects few
        camera = f"camera {i % 2}"
        risk = column.risk([camera], 1)
        with_ = 1.0 - 0.9 * (1.0 - float(column.rates.lift(risk)[0]))
        column.learn(f"1/{i}", camera, 1, 0.1, (with_, 0.1), confirmed=i % 5 < 3)
    column.settle()
    assert column.weight < 0.1


def test_a_column_that_foretells_what_nothing_shows_gains_at_once():
    column = ColumnRisks(EntityRates())
    for i in range(300):
        column.learn(f"1/{i}", f"t{i}", 1, 0.0005, (0.0005, 0.0005), confirmed=i % 100 == 0)
    column.settle()
    for i in range(10):
        column.learn(f"2/{i}", "t0", 2, 0.0005, (0.5, 0.0005), confirmed=True)
    column.settle()
    assert column.gain > 20.0


def test_a_feature_that_tells_nights_apart_moves_no_probability():
    rng, nights = np.random.default_rng(0), np.repeat([1, 2, 3], 100)
    features = rng.normal(size=(300, 3))
    labels = features[:, 1] > 1.5
    features[:, 2] = nights + 0.01 * rng.normal(size=300)
    head = ScoreHead.fit(features, labels, np.ones(300), ~labels, 3.0, nights)
    another_day = features + np.array([0.0, 0.0, 4.0])
    np.testing.assert_array_equal(head(another_day), head(features))
    assert head(features)[labels].mean() > head(features)[~labels].mean() + 1.0


def test_more_columns_than_items_are_fitted_as_the_same_columns_among_many_items():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 30))
    labels = features[:, 1] > 1.0
    wide = ScoreHead.fit(features, labels, np.ones(60), ~labels, 3.0)
    twice = [np.concatenate([part, part]) for part in (features, labels, ~labels)]
    tall = ScoreHead.fit(twice[0], twice[1], np.full(120, 0.5), twice[2], 3.0)
    np.testing.assert_allclose(wide(features), tall(features), atol=1e-4)


@pytest.mark.parametrize("by_name", [False, True], ids=["mixed", "good ones first"])
def test_after_a_first_night_full_of_anomalies_good_items_are_not_called_likely(by_name):
    """Two cameras see two defects among five images, and the verdicts on them come together."""
    learner, alone = VerdictLearner(entities=("camera",)), VerdictLearner()
    ranked, bad = {}, {}
    for number in (1, 2):
        rng = np.random.default_rng(number)
        bad[number] = rng.random(70) < 0.4
        score = rng.exponential(size=(70, 1)) + np.where(bad[number], 3.0, 0.0)[:, None]
        ids = [f"{number}-{int(b) if by_name else 0}-{i}" for i, b in enumerate(bad[number])]
        cameras = {"camera": [f"camera {i % 2}" for i in range(70)]}
        for one in (learner, alone):
            items = NightItems(number, ids, score, ("score",), cameras if one is learner else {})
            ranked[one, number] = one.rank(items)
            chosen = one.choose(ranked[one, number], capacity=30, audit=10).places
            one.keep(ranked[one, number], chosen)
            one.update(ItemVerdict(ids[i], bool(bad[number][i]), number + 1) for i in chosen)
    given, plain = (ranked[one, 2].judged.probability[~bad[2]] for one in (learner, alone))
    assert np.median(given) < 0.1 + np.median(plain)
